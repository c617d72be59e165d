// The signer: owns the signing key, signs what the authority has checked and reserved for. Runs on
// a thread of its own, because a batch of 100 tickets takes milliseconds. A pure function of key
// and job; it keeps no state.
#ifndef COFFER_ACTORS_ENCLAVE_SIGNER_H_
#define COFFER_ACTORS_ENCLAVE_SIGNER_H_

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "actors/enclave/messages.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::enclave {

// Accepts: SignRequest. Sends: SignDone to the authority.
class Signer : public runtime::Actor<SignerMessage> {
 public:
  Signer(ethereum::PrivateKey key, AuthorityMailbox* authority)
      : key_(std::move(key)), authority_(authority) {}

  void Receive(SignerMessage message) override {
    if (const auto* job = std::get_if<payouts::SigningJob>(&message.job)) {
      done_.push_back({message.reply, payouts::Sign(key_, *job)});
    } else {
      auto answer = std::make_unique<boundary::v1::ServerFrame>();
      signing::Sign(key_, std::get<signing::Request>(message.job), answer.get());
      done_.push_back({message.reply, std::move(answer)});
    }
    if (done_.size() >= kTogether) EndOfBatch();
  }

  void EndOfBatch() override {
    for (SignDone& one : done_) authority_->Send(std::move(one));
    done_.clear();
  }

 private:
  // While more wait to be signed, so many are handed over at a time: waking the other thread for
  // each costs a quarter of a signature.
  static constexpr size_t kTogether = 8;

  const ethereum::PrivateKey key_;
  AuthorityMailbox* const authority_;
  std::vector<SignDone> done_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_SIGNER_H_
