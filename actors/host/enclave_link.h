// EnclaveLink: the host's one connection to the enclave. It gives a fresh enclave its state back,
// is the storage of a living one, and carries everybody's requests.
//
// On a connection: status, then by the enclave's phase (proto/boundary.proto, "state")
//   UNPROVISIONED  the Provisioner gives it its key, and it is asked for its status again
//   EMPTY    load_begin, the snapshot's chunks and the records after it, load_end
//   READY    attach_storage with the last record stored and its hash
//   LOADING  another connection is at it: again in a moment
// then requests flow. An enclave that keeps no storage (Status.without_storage) is left alone:
// nothing is loaded or attached. Store messages go to the StateStore; what it has made durable goes
// back as Stored. When the enclave sends more than the disk takes, reading pauses, and the socket
// pushes back.
//
// A connection that is lost is made again, with a jittered back-off; requests in flight are
// answered Unavailable. So is one on which nothing comes any more: when a request got no answer in
// time and no frame came meanwhile, a status is asked for, and when that stays without an answer,
// too, the enclave hangs or is gone without a word. When the enclave refuses the state, or
// contradicts what is stored, nothing is tried but slowly, and not_ready_reason() says it.
#ifndef COFFER_ACTORS_HOST_ENCLAVE_LINK_H_
#define COFFER_ACTORS_HOST_ENCLAVE_LINK_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/enclave_client.h"
#include "actors/host/provisioner.h"
#include "actors/host/state_store.h"
#include "runtime/backoff.h"
#include "runtime/dispatcher.h"
#include "runtime/mailbox.h"
#include "runtime/random.h"
#include "runtime/stream.h"

namespace coffer::host {

class EnclaveLink final : public EnclaveClient,
                          public runtime::Actor<StoreEvent>,
                          private runtime::StreamHandler {
 public:
  struct Options {
    runtime::Endpoint endpoint;
    absl::Duration request_timeout = absl::Seconds(60);  // of a caller's request
    absl::Duration first_retry = absl::Milliseconds(50);
    absl::Duration max_retry = absl::Seconds(5);
    absl::Duration refused_retry = absl::Seconds(30);  // after the enclave refused the state
    size_t load_window = 64;                           // records under way while loading
    size_t store_messages = 1024;    // outstanding at the store, then reading pauses
    size_t store_bytes = 64u << 20;  // likewise
  };
  // The mailbox of StoreEvents needs room for this many: one an outstanding message, and the
  // answers to our own questions.
  static constexpr size_t kStoreEvents = 4096;

  struct Counters {
    uint64_t connections = 0;
    uint64_t requests = 0;
    uint64_t answers = 0;
    uint64_t timeouts = 0;
    uint64_t lost = 0;  // requests in flight when the connection was lost
    uint64_t stored_messages = 0;
  };

  // `store`'s actor answers to the mailbox that this object is bound to. All must outlive the
  // dispatcher's loop.
  EnclaveLink(Options options, runtime::Dispatcher* dispatcher, runtime::Network* network,
              runtime::Random* random, runtime::Mailbox<StoreMessage>* store);
  ~EnclaveLink() override;

  void Start();
  // Instead of Start: no connection is made, and every call is answered Unavailable with this
  // sentence.
  void StayDown(const std::string& reason) { reason_ = reason; }
  // Takes no more requests, waits for those in flight and for what the store has been sent, then
  // closes and calls `done`.
  void Stop(runtime::Task done);

  void Call(boundary::v1::ClientFrame request, Reply reply) override;
  void CallApplyEvents(std::string events, Reply reply) override;
  bool ready() const override { return state_ == State::kReady && !stopping_; }
  void Watch(absl::AnyInvocable<void(bool)> observer) override;

  // A sentence for /readyz; empty when ready.
  const std::string& not_ready_reason() const { return reason_; }
  const Counters& counters() const { return counters_; }
  size_t in_flight() const { return pending_.size(); }
  // Asked about the status that begins each connection, before anything is sent that matters; a
  // status that is not OK ends the connection, and its sentence is the reason. Set before Start.
  using Check = absl::AnyInvocable<absl::Status(const boundary::v1::Status&)>;
  void CheckStatus(Check check) { check_ = std::move(check); }
  // Asked before anything is loaded. Null, or not set: an enclave without a key is waited for. Set
  // before Start; outlives this object.
  void ProvisionBy(Provisioner* provisioner) { provisioner_ = provisioner; }
  // The heads of the transparency log that the enclave signs unasked. Set before Start.
  using OnHead = absl::AnyInvocable<void(boundary::v1::AuditCheckpoint)>;
  void OnSignedHead(OnHead on_head) { on_head_ = std::move(on_head); }
  // Each problem, once when it appears, for the log. Set before Start.
  void OnProblem(absl::AnyInvocable<void(const std::string&)> log) { log_ = std::move(log); }

  void Receive(StoreEvent event) override;

 private:
  enum class State {
    kIdle,
    kConnecting,
    kStatus,
    kPreparing,
    kLoading,
    kLoadEnd,
    kAskStore,
    kAttaching,
    kReady
  };
  struct Pending {
    Reply reply;
    absl::Time deadline;
    absl::Duration timeout;
  };
  struct Waiting {
    std::string payload;
    bool secret = false;
  };

  void OnFrame(runtime::FramedStream& stream, std::string payload) override;
  void OnWritable(runtime::FramedStream& stream) override;
  void OnClosed(runtime::FramedStream& stream, const absl::Status& why) override;

  void Connect();
  void AskStatus();
  void OnStatus(const boundary::v1::ServerFrame& frame);
  void Prepare(const boundary::v1::Status& status);
  // The provisioner has nothing against it.
  void GoOn(const boundary::v1::Status& status);
  void Load();
  void LoadOn();
  void OnLoaded(absl::StatusOr<boundary::v1::ServerFrame> frame);
  void Attach(const LastRecord& last);
  void BecomeReady();
  // The enclave's Error in an answer that must not be one, as a sentence; OK when it is none.
  static absl::Status ErrorOf(const boundary::v1::ServerFrame& frame);

  void On(StoredUpTo stored);
  void On(StoreContradiction contradiction);
  void On(LastRecord last);
  void On(ReadBatch batch);
  void On(Flushed);
  void OnStore(boundary::v1::Store store);
  void Settled(size_t messages, size_t bytes);

  bool Admit(Reply* reply);
  uint64_t Expect(Reply reply, absl::Duration timeout);
  uint64_t SendRequest(boundary::v1::ClientFrame request, Reply reply, absl::Duration timeout);
  // Wipes the credentials in it.
  void SendFrame(boundary::v1::ClientFrame frame);
  void FlushOutbox();
  void ArmTimeout();
  void Expire();
  // After requests that nobody answered: is anybody there? Drops the connection if not.
  void Probe();
  // Gives the connection up and tries again after `wait`.
  void Drop(const std::string& reason, absl::Duration wait);
  void FailPending(const std::string& reason);
  void SetState(State state, const std::string& reason);
  void MaybeStopped();

  const Options options_;
  runtime::Dispatcher* const dispatcher_;
  runtime::Network* const network_;
  runtime::Mailbox<StoreMessage>* const store_;
  runtime::Backoff backoff_;
  absl::AnyInvocable<void(const std::string&)> log_;
  Check check_;
  Provisioner* provisioner_ = nullptr;
  OnHead on_head_;
  std::vector<absl::AnyInvocable<void(bool)>> observers_;

  State state_ = State::kIdle;
  std::string reason_ = "not started yet";
  bool was_ready_ = false;
  std::unique_ptr<runtime::FramedStream> stream_;
  std::unique_ptr<runtime::FramedStream> dying_;  // kept until its handler has returned
  std::unique_ptr<runtime::Timer> retry_;
  uint64_t connection_ = 0;  // counts attempts, so that answers to an older one are known
  uint64_t next_id_ = 1;
  std::map<uint64_t, Pending> pending_;
  std::unique_ptr<runtime::Timer> timeout_;
  absl::Time last_frame_;       // when anything last came from the enclave
  bool probing_ = false;        // whether it is there is being asked
  std::deque<Waiting> outbox_;  // frames that wait for the stream's output to drain

  std::deque<std::string> load_items_;
  bool load_end_ = false;    // the store has no more
  bool load_asked_ = false;  // a batch is on its way
  size_t load_in_flight_ = 0;

  size_t store_messages_ = 0;  // outstanding at the store
  size_t store_bytes_ = 0;
  bool reading_paused_ = false;

  bool stopping_ = false;
  bool flushed_ = false;
  runtime::Task stopped_;
  Counters counters_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_ENCLAVE_LINK_H_
