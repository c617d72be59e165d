// The signers, one for each dispatcher: what is to be signed goes to them in turn, so that a second
// core is a second signature. Each has all keys; which of them signs changes nothing in what is
// signed (signer.h). Used by the authority's actor, on its dispatcher.
#ifndef COFFER_ACTORS_ENCLAVE_SIGNER_POOL_H_
#define COFFER_ACTORS_ENCLAVE_SIGNER_POOL_H_

#include <memory>
#include <vector>

#include "actors/enclave/messages.h"
#include "actors/enclave/signer.h"
#include "enclave_core/ethereum/signature.h"
#include "runtime/dispatcher.h"

namespace coffer::enclave {

class SignerPool {
 public:
  // At least one dispatcher, and as many as may sign at a time. They and `authority`, which gets
  // every SignDone, outlive the pool.
  SignerPool(const std::vector<runtime::Dispatcher*>& dispatchers, AuthorityMailbox* authority);
  SignerPool(const SignerPool&) = delete;
  SignerPool& operator=(const SignerPool&) = delete;

  // All keys, in place of those before; nothing is to be signed before they came.
  void Use(std::vector<ethereum::PrivateKey> keys);
  // One more.
  void Add(ethereum::PrivateKey key);
  // One less: it is wiped once every signer knows. Nothing is to be signed with it any more.
  void Forget(const ethereum::Address& address);
  void Sign(SignRequest request);

 private:
  struct Member {
    Member(runtime::Dispatcher* dispatcher, AuthorityMailbox* authority);
    SignerMailbox mailbox;
    Signer signer;
  };

  void Take(ethereum::PrivateKey key);
  void TellAll() const;

  SigningKeys keys_;
  std::vector<std::unique_ptr<Member>> members_;
  size_t next_ = 0;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_SIGNER_POOL_H_
