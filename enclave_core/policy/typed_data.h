// A policy as EIP-712 typed data: its canonical hash, and what its admins sign to change it. Any
// wallet or library that knows EIP-712 can compute both.
//
//   EIP712Domain(string name,string version,uint256 chainId)     name "Coffer policy", version "1"
//   PolicyChange(address signer,uint64 sequence,Policy policy)
//   Policy(...)                                                  kPolicyType below
//
// An unrestricted policy is hashed as any other; its domain has chainId 0 and it has no admins.
#ifndef COFFER_ENCLAVE_CORE_POLICY_TYPED_DATA_H_
#define COFFER_ENCLAVE_CORE_POLICY_TYPED_DATA_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"

namespace coffer::policy {

inline constexpr std::string_view kPolicyType =
    "Policy(bool unrestricted,uint64 chainId,address ticketBroker,bool allowTickets,"
    "uint256 maxFaceValue,uint256 maxBatchTotal,uint32 maxTickets,uint256 winProb,"
    "uint64 ticketValidityRounds,bool voidOnHostWord,bool allowEthTransfer,uint256 maxTransfer,"
    "uint256 maxFundDeposit,uint256 maxFundReserve,bool requireAllowlist,"
    "address[] allowedRecipients,uint64 maxGasLimit,uint256 maxFeePerGas,"
    "uint256 maxPriorityFeePerGas,uint256 maxTransactionCost,bool allowAccessList,"
    "bool allowRawMessages,uint64 velocityWindow,uint256 velocityTotal,uint256 velocityRecipient,"
    "uint32 velocitySignatures,address creditReporter,bool requireCreditSignature,"
    "address[] admins,uint32 adminThreshold)";

// hashStruct(Policy): the policy's hash wherever one is named, attested or sealed.
ethereum::Hash PolicyHash(const Policy& policy);

// What an admin signs: keccak-256(0x1901 || domain separator || hashStruct(PolicyChange)). `signer`
// is the address of the enclave's key, the domain's chainId the new policy's.
ethereum::Hash PolicyChangeDigest(const ethereum::Address& signer, uint64_t sequence,
                                  const Policy& policy);

// The same as JSON, for eth_signTypedData_v4.
std::string PolicyChangeTypedData(const ethereum::Address& signer, uint64_t sequence,
                                  const Policy& policy);

// Whether `signatures` (65 bytes each) over the change to `next` come from admin_threshold
// different admins of `current`. Refused with ERROR_SIGNATURE that says how many valid ones there
// were; ERROR_POLICY (rule admins) when `current` has no admins: then nobody may change it. At most
// kMaxAdmins signatures are looked at.
absl::Status CheckPolicyChange(const Policy& current, const ethereum::Address& signer,
                               uint64_t sequence, const Policy& next,
                               absl::Span<const std::string> signatures);

}  // namespace coffer::policy

#endif  // COFFER_ENCLAVE_CORE_POLICY_TYPED_DATA_H_
