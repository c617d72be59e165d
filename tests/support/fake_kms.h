// A KMS that outlives enclaves: keys and contexts as AWS has them, ciphertexts that are names of
// what it remembers, no attestation. What it generates is a function of how much it generated.
#ifndef COFFER_TESTS_SUPPORT_FAKE_KMS_H_
#define COFFER_TESTS_SUPPORT_FAKE_KMS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/kms/client.h"
#include "proto/boundary.pb.h"

namespace coffer::test {

inline constexpr char kKmsKey[] = "arn:aws:kms:eu-west-1:1:key/signing";

class FakeKms {
 public:
  // As anybody who may encrypt does it.
  std::string Encrypt(std::string_view plaintext, const kms::EncryptionContext& context = {},
                      std::string_view key_id = kKmsKey) {
    std::string blob =
        absl::StrCat("ciphertext ", kept_.size() + 1, " under ", std::string(key_id));
    kept_[blob] = {std::string(plaintext), std::string(key_id), context};
    return blob;
  }
  std::string Generate() {
    return std::string(
        ethereum::Keccak256(absl::StrCat("fake KMS key ", seed_, " ", ++generated_)).view());
  }

  absl::StatusOr<std::unique_ptr<kms::Client>> NewClient(kms::Credentials credentials) {
    if (credentials.secret_access_key.view() != "sesame") {
      return absl::InvalidArgumentError("no such credentials");
    }
    return std::make_unique<Client>(this);
  }

  explicit FakeKms(uint64_t seed = 0) : seed_(seed) {}

  struct Call {
    std::string name;
    std::string key_id;
    kms::EncryptionContext context;
  };
  std::vector<Call> calls;
  absl::Status trouble;  // of every call, while it is not OK

 private:
  struct Kept {
    std::string plaintext;
    std::string key_id;
    kms::EncryptionContext context;
  };

  class Client final : public kms::Client {
   public:
    explicit Client(FakeKms* kms) : kms_(kms) {}
    absl::StatusOr<kms::OpenedKey> Decrypt(std::string_view ciphertext, std::string_view key_id,
                                           std::string_view,
                                           const kms::EncryptionContext& context) override {
      kms_->calls.push_back({"Decrypt", std::string(key_id), context});
      if (!kms_->trouble.ok()) return kms_->trouble;
      const auto found = kms_->kept_.find(std::string(ciphertext));
      if (found == kms_->kept_.end() || found->second.context != context) {
        return absl::FailedPreconditionError("InvalidCiphertextException");
      }
      const Kept& kept = found->second;
      if (!key_id.empty() && key_id != kept.key_id) {
        return absl::FailedPreconditionError("IncorrectKeyException");
      }
      absl::StatusOr<ethereum::SecretBytes> plaintext =
          ethereum::SecretBytes::CopyOf(kept.plaintext);
      if (!plaintext.ok()) return plaintext.status();
      return kms::OpenedKey{*std::move(plaintext), "", kept.key_id};
    }
    absl::StatusOr<kms::OpenedKey> GenerateDataKey(std::string_view key_id,
                                                   const kms::EncryptionContext& context) override {
      kms_->calls.push_back({"GenerateDataKey", std::string(key_id), context});
      if (!kms_->trouble.ok()) return kms_->trouble;
      const std::string made = kms_->Generate();
      absl::StatusOr<ethereum::SecretBytes> plaintext = ethereum::SecretBytes::CopyOf(made);
      if (!plaintext.ok()) return plaintext.status();
      return kms::OpenedKey{*std::move(plaintext), kms_->Encrypt(made, context, key_id),
                            std::string(key_id)};
    }
    absl::StatusOr<ethereum::SecretBytes> GenerateRandom(size_t bytes) override {
      return ethereum::SecretBytes::Create(bytes);
    }

   private:
    FakeKms* const kms_;
  };

  const uint64_t seed_;
  std::map<std::string, Kept> kept_;
  uint64_t generated_ = 0;
};

// What lets everybody into the fake.
inline void FillCredentials(boundary::v1::AwsCredentials* aws) {
  aws->set_region("eu-west-1");
  aws->set_access_key_id("AKIAEXAMPLE");
  aws->set_secret_access_key("sesame");
  aws->set_session_token("token");
  aws->set_proxy_port(8000);
}

}  // namespace coffer::test

#endif  // COFFER_TESTS_SUPPORT_FAKE_KMS_H_
