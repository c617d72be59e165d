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
  SigningKeys all;
  for (ethereum::PrivateKey& key : keys)
    all.keys.push_back(std::make_shared<const ethereum::PrivateKey>(std::move(key)));
  for (const auto& member : members_) member->mailbox.Send(all);
}

void SignerPool::Add(ethereum::PrivateKey key) {
  const auto shared = std::make_shared<const ethereum::PrivateKey>(std::move(key));
  for (const auto& member : members_) member->mailbox.Send(AddSigningKey{shared});
}

void SignerPool::Forget(const ethereum::Address& address) {
  for (const auto& member : members_) member->mailbox.Send(ForgetSigningKey{address});
}

void SignerPool::Sign(SignRequest request) {
  members_[next_]->mailbox.Send(std::move(request));
  next_ = (next_ + 1) % members_.size();
}

}  // namespace coffer::enclave
