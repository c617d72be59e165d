// Takes the requests that bring an enclave its keys, one at a time, and hands the keys on. A part
// of the actor that has the authority's mailbox, and runs with it.
#ifndef COFFER_ACTORS_ENCLAVE_PROVISIONER_H_
#define COFFER_ACTORS_ENCLAVE_PROVISIONER_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "actors/enclave/messages.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/provisioning/provisioning.h"

namespace coffer::enclave {

class Provisioner {
 public:
  // Gives the keys to the enclave's actors, from within the actor that has the mailbox.
  using Install = std::function<void(provisioning::Keys keys, const policy::Policy& policy)>;

  // `started_with`: the policy of the start, unrestricted when there was none. The mailboxes
  // outlive it.
  Provisioner(boundary::v1::Profile profile, policy::Policy started_with, bool without_storage,
              KmsMailbox* kms, SealerMailbox* sealer, Install install)
      : profile_(profile),
        started_with_(std::move(started_with)),
        without_storage_(without_storage),
        kms_(kms),
        sealer_(sealer),
        install_(std::move(install)) {}

  // provision or generate. It is answered here when it is refused, else after Finish.
  void Begin(Request request);
  // `takes`: not OK when there is no place for keys any more.
  void Finish(KeysOpened opened, const absl::Status& takes);

 private:
  absl::Status Check(const boundary::v1::ClientFrame& frame);
  absl::StatusOr<policy::Policy> PolicyOf(const boundary::v1::ClientFrame& frame) const;
  absl::Status CheckNewPolicy(const policy::Policy& policy) const;
  void Answer(ReplyTo reply, std::unique_ptr<boundary::v1::ServerFrame> answer);

  const boundary::v1::Profile profile_;
  const policy::Policy started_with_;
  const bool without_storage_;
  KmsMailbox* const kms_;
  SealerMailbox* const sealer_;
  const Install install_;
  bool under_way_ = false;
  policy::Policy policy_;  // of the request under way
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_PROVISIONER_H_
