// A signer: has the signing keys, once there are any, signs what the authority has checked and
// reserved for. Runs on a thread of its own, because a batch of 100 tickets takes milliseconds. A
// pure function of key and job; it keeps no state.
#ifndef COFFER_ACTORS_ENCLAVE_SIGNER_H_
#define COFFER_ACTORS_ENCLAVE_SIGNER_H_

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "actors/enclave/messages.h"
#include "enclave_core/ethereum/signature.h"
#include "invariant/check.h"

namespace coffer::enclave {

// Accepts: SigningKeys, and SignRequest after that. Sends: SignDone to the authority.
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

  void Handle(SigningKeys keys) { keys_ = std::move(keys.keys); }
  void Handle(SignRequest request) {
    if (const auto* job = std::get_if<payouts::SigningJob>(&request.job)) {
      done_.push_back({request.reply, payouts::Sign(KeyOf(job->sender), *job)});
    } else {
      const auto& asked = std::get<ClientSigning>(request.job);
      auto answer = std::make_unique<boundary::v1::ServerFrame>();
      signing::Sign(KeyOf(asked.signer), asked.request, answer.get());
      done_.push_back({request.reply, std::move(answer)});
    }
    if (done_.size() >= kTogether) EndOfBatch();
  }
  const ethereum::PrivateKey& KeyOf(const ethereum::Address& address) const {
    const auto found = std::find_if(keys_.begin(), keys_.end(),
                                    [&](const auto& key) { return key->address() == address; });
    COFFER_CHECK(found != keys_.end(), "something is signed with a key that is not here");
    return **found;
  }

  std::vector<std::shared_ptr<const ethereum::PrivateKey>> keys_;
  AuthorityMailbox* const authority_;
  std::vector<SignDone> done_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_SIGNER_H_
