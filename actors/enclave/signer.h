// The signer: owns the signing key, once there is one, signs what the authority has checked and
// reserved for. Runs on a thread of its own, because a batch of 100 tickets takes milliseconds. A
// pure function of key and job; it keeps no state.
#ifndef COFFER_ACTORS_ENCLAVE_SIGNER_H_
#define COFFER_ACTORS_ENCLAVE_SIGNER_H_

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "actors/enclave/messages.h"
#include "enclave_core/ethereum/signature.h"
#include "invariant/check.h"

namespace coffer::enclave {

// Accepts: SigningKey, and SignRequest after that. Sends: SignDone to the authority.
class Signer : public runtime::Actor<SignerMessage> {
 public:
  explicit Signer(AuthorityMailbox* authority) : authority_(authority) {}

  void Receive(SignerMessage message) override {
    std::visit([this](auto& m) { Handle(std::move(m)); }, message);
  }

  void EndOfBatch() override {
    for (SignDone& one : done_) authority_->Send(std::move(one));
    done_.clear();
  }

 private:
  // While more wait to be signed, so many are handed over at a time: waking the other thread for
  // each costs a quarter of a signature.
  static constexpr size_t kTogether = 8;

  void Handle(SigningKey key) { key_ = std::move(key.key); }
  void Handle(SignRequest request) {
    COFFER_CHECK(key_.has_value(), "something is signed before there is a key");
    if (const auto* job = std::get_if<payouts::SigningJob>(&request.job)) {
      done_.push_back({request.reply, payouts::Sign(*key_, *job)});
    } else {
      auto answer = std::make_unique<boundary::v1::ServerFrame>();
      signing::Sign(*key_, std::get<signing::Request>(request.job), answer.get());
      done_.push_back({request.reply, std::move(answer)});
    }
    if (done_.size() >= kTogether) EndOfBatch();
  }

  std::optional<ethereum::PrivateKey> key_;
  AuthorityMailbox* const authority_;
  std::vector<SignDone> done_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_SIGNER_H_
