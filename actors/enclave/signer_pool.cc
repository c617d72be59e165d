#include "actors/enclave/signer_pool.h"

#include <utility>

#include "invariant/check.h"

namespace coffer::enclave {

SignerPool::Member::Member(runtime::Dispatcher* dispatcher, AuthorityMailbox* authority)
    : mailbox(dispatcher, "signer", kInternalMailbox), signer(authority) {
  mailbox.Bind(&signer);
}

SignerPool::SignerPool(const std::vector<runtime::Dispatcher*>& dispatchers,
                       AuthorityMailbox* authority) {
  COFFER_CHECK(!dispatchers.empty(), "somebody signs");
  for (runtime::Dispatcher* dispatcher : dispatchers)
    members_.push_back(std::make_unique<Member>(dispatcher, authority));
}

void SignerPool::Use(std::vector<ethereum::PrivateKey> keys) {
  keys_.keys.clear();
  for (ethereum::PrivateKey& key : keys) Take(std::move(key));
  TellAll();
}

void SignerPool::Add(ethereum::PrivateKey key) {
  Take(std::move(key));
  TellAll();
}

void SignerPool::Forget(const ethereum::Address& address) {
  std::erase_if(keys_.keys, [&](const auto& key) { return key->address() == address; });
  TellAll();
}

void SignerPool::Sign(SignRequest request) {
  members_[next_]->mailbox.Send(std::move(request));
  next_ = (next_ + 1) % members_.size();
}

void SignerPool::Take(ethereum::PrivateKey key) {
  keys_.keys.push_back(std::make_shared<const ethereum::PrivateKey>(std::move(key)));
}

void SignerPool::TellAll() const {
  for (const auto& member : members_) member->mailbox.Send(keys_);
}

}  // namespace coffer::enclave
