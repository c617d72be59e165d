// Actors and their bounded mailboxes.
//
// An actor is a plain class that owns its state. It has one mailbox of one message type, usually a
// std::variant of plain structs, which keeps the order of different messages from one sender.
//
// Bounds. A mailbox never grows beyond its capacity and never drops. Work is admitted where it
// enters the process (a socket, a file): there TrySend is used, and a full mailbox pauses the
// source. Behind that door every hop is sized for all the work that can have been admitted, so a
// full mailbox there is a bug of ours and Send stops the process.
#ifndef COFFER_RUNTIME_MAILBOX_H_
#define COFFER_RUNTIME_MAILBOX_H_

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include "invariant/check.h"
#include "runtime/dispatcher.h"

namespace coffer::runtime {

template <typename Message>
class Actor {
 public:
  virtual ~Actor() = default;
  // Handles one message to completion: no blocking call, no lock.
  virtual void Receive(Message message) = 0;
  // Called after each run of messages that were handled without a pause; the place to flush a
  // batch.
  virtual void EndOfBatch() {}
};

template <typename Message>
class Mailbox {
 public:
  // At most this many messages are handled before other work of the dispatcher gets its turn.
  static constexpr size_t kMaxRun = 256;

  // `dispatcher` must outlive the mailbox. Bind() comes before the first message is handled.
  Mailbox(Dispatcher* dispatcher, std::string name, size_t capacity)
      : dispatcher_(dispatcher), name_(std::move(name)), capacity_(capacity) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // The actor that handles the messages; must outlive the dispatcher's loop.
  void Bind(Actor<Message>* actor) { actor_ = actor; }

  // False, with `message` untouched, when full. Thread-safe.
  [[nodiscard]] bool TrySend(Message&& message) {
    bool wake = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (queue_.size() >= capacity_) return false;
      queue_.push_back(std::move(message));
      wake = !scheduled_;
      scheduled_ = true;
    }
    if (wake) dispatcher_->Post([this] { Run(); });
    return true;
  }

  // For hops behind the admission door. Thread-safe.
  void Send(Message message) {
    COFFER_CHECK(TrySend(std::move(message)), "mailbox overflow behind the admission door");
  }

  size_t size() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return queue_.size();
  }
  size_t capacity() const { return capacity_; }
  const std::string& name() const { return name_; }

 private:
  void Run() {
    std::deque<Message> run;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (queue_.size() <= kMaxRun) {
        run.swap(queue_);
      } else {
        for (size_t i = 0; i < kMaxRun; ++i) {
          run.push_back(std::move(queue_.front()));
          queue_.pop_front();
        }
      }
    }
    COFFER_CHECK(actor_ != nullptr, "mailbox was used before its actor was bound");
    for (Message& message : run) actor_->Receive(std::move(message));
    actor_->EndOfBatch();
    std::lock_guard<std::mutex> lock(mutex_);
    scheduled_ = !queue_.empty();
    if (scheduled_) dispatcher_->Post([this] { Run(); });
  }

  Dispatcher* const dispatcher_;
  const std::string name_;
  const size_t capacity_;
  Actor<Message>* actor_ = nullptr;
  mutable std::mutex mutex_;
  std::deque<Message> queue_;
  bool scheduled_ = false;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_MAILBOX_H_
