// What giving the enclave its keys counts.
#include "host_proxy/host_keys.h"
#include "host_proxy/host_metrics.h"

namespace coffer::host_proxy {

void HostMetrics::Add(const HostKeys* keys) {
  const auto& counters = keys->counters().counters();
  Level("coffer_kms_provisioned", "1 when the enclave of the last connection has a key",
        [&counters] { return counters.provisioned ? 1.0 : 0.0; });
  Level("coffer_kms_provision_seconds", "how long the last provisioning took, credentials included",
        [&counters] { return counters.last_seconds; });
  Level("coffer_kms_state_keys", "state keys whose ciphertexts are stored",
        [keys] { return static_cast<double>(keys->store().state_keys().size()); });
  Total("coffer_kms_attempts_total", "attempts to give the enclave its key",
        [&counters] { return counters.attempts; });
  Total("coffer_kms_provisions_total", "attempts that gave the enclave its key",
        [&counters] { return counters.provisions; });
  for (size_t i = 0; i < host::kKeyTroubles; ++i) {
    const std::string reason(host::KeyTroubleWord(static_cast<host::KeyTrouble>(i)));
    Total("coffer_kms_failures_total", "reasons why the enclave was not given its key, each time",
          [&counters, i] { return counters.failures.at(i); }, {{"reason", reason}});
  }
  const host::KeyRotation& rotation = keys->rotation();
  Total("coffer_kms_rotations_total", "rotations of the state key that ended well",
        [&rotation] { return rotation.done(); });
  Total("coffer_kms_rotation_failures_total", "rotations of the state key that were cut off",
        [&rotation] { return rotation.failed(); });
  const host::SigningKeyRotation& signing = keys->signing_rotation();
  Level("coffer_kms_signing_keys", "signing keys that an enclave is given, two while one drains",
        [keys] {
          return (keys->store().Root().has_value() ? 1.0 : 0.0) +
                 (keys->store().Next() != nullptr ? 1.0 : 0.0);
        });
  Level("coffer_kms_draining_payouts",
        "open payouts of the signing key that drains, when the enclave was last asked",
        [&signing] { return static_cast<double>(signing.progress().open_payouts); });
  Total("coffer_kms_signing_rotations_total", "rotations of the signing key that ended well",
        [&signing] { return signing.done(); });
  Total("coffer_kms_signing_rotation_failures_total",
        "rotations of the signing key that were cut off", [&signing] { return signing.failed(); });
}

}  // namespace coffer::host_proxy
