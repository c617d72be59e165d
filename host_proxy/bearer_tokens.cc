#include "host_proxy/bearer_tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace coffer::host_proxy {
namespace {

constexpr size_t kMinTokenBytes = 16;

}  // namespace

BearerTokens::Digest BearerTokens::DigestOf(std::string_view text) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

BearerTokens::BearerTokens(const std::string& viewer, const std::string& admin) {
  if (!viewer.empty()) viewer_ = DigestOf(viewer);
  if (!admin.empty()) admin_ = DigestOf(admin);
}

Role BearerTokens::RoleOf(std::string_view authorization) const {
  if (!any()) return Role::kAdmin;
  constexpr std::string_view kScheme = "Bearer ";
  const absl::string_view head(authorization.data(),
                               std::min(authorization.size(), kScheme.size()));
  if (!absl::EqualsIgnoreCase(head, absl::string_view(kScheme.data(), kScheme.size()))) {
    return Role::kNobody;
  }
  const Digest given = DigestOf(authorization.substr(kScheme.size()));
  const bool admin =
      admin_.has_value() && CRYPTO_memcmp(given.data(), admin_->data(), given.size()) == 0;
  const bool viewer =
      viewer_.has_value() && CRYPTO_memcmp(given.data(), viewer_->data(), given.size()) == 0;
  return admin ? Role::kAdmin : viewer ? Role::kViewer : Role::kNobody;
}

absl::Status BearerTokens::Check(const std::string& viewer, const std::string& admin) {
  for (const std::string* token : {&viewer, &admin}) {
    if (token->empty()) continue;
    if (token->size() < kMinTokenBytes) {
      return absl::InvalidArgumentError(
          "a bearer token has fewer than 16 bytes: make one with `openssl rand -hex 32`");
    }
    for (const char c : *token) {
      if (c <= ' ' || c > '~') {
        return absl::InvalidArgumentError(
            "a bearer token holds a space, a control character or one that is not ASCII");
      }
    }
  }
  if (!viewer.empty() && viewer == admin) {
    return absl::InvalidArgumentError("the viewer's token and the admin's are the same");
  }
  return absl::OkStatus();
}

}  // namespace coffer::host_proxy
