// The enclave's messages as the API's JSON: wei as decimal strings, bytes as 0x hex, enums as
// words.
#ifndef COFFER_HOST_PROXY_API_JSON_H_
#define COFFER_HOST_PROXY_API_JSON_H_

#include <json/value.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "host_proxy/http_message.h"
#include "proto/boundary.pb.h"

namespace coffer::host_proxy {

Json::Value Number(uint64_t value);
// "0x..."; null when there are no bytes.
Json::Value Hex(const std::string& bytes);
// 20 bytes in EIP-55; null when they are not an address.
Json::Value AddressText(const std::string& bytes);
std::string WeiText(const boundary::v1::Wei& wei);
// Decimal digits, 1 to 2^127 - 1.
absl::StatusOr<boundary::v1::Wei> WeiFromText(std::string_view text);
// A decimal number of ETH above 0, with at most 18 decimals.
absl::StatusOr<boundary::v1::Wei> WeiFromEth(std::string_view text);

Json::Value ToJson(const boundary::v1::Status& status);
Json::Value ToJson(const boundary::v1::Account& account);
Json::Value ToJson(const boundary::v1::Payout& payout);

HttpResponse JsonAnswer(const Json::Value& value, int status = 200);
// The HTTP answer to a failure of ours.
HttpResponse FromStatus(const absl::Status& status);

// 429, with Retry-After. `instead`: the end of the sentence, "" or what to do instead.
HttpResponse RateLimited(absl::Duration wait, const std::string& instead = "");

// "none", "nitro" or "development".
std::string AttestationKindWord(boundary::v1::AttestationKind kind);
// "insufficient" for ERROR_INSUFFICIENT.
std::string ErrorWord(boundary::v1::ErrorCode code);
// The HTTP answer to an Error of the enclave.
HttpResponse FromEnclaveError(const boundary::v1::Error& error);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_API_JSON_H_
