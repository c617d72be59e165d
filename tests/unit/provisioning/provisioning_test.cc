// Keys from KMS: what is taken, what is refused and by which code, and which contexts KMS is asked
// with.
#include "enclave_core/provisioning/provisioning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "enclave_core/error.h"
#include "tests/support/fake_kms.h"

namespace coffer::provisioning {
namespace {

using test::FakeKms;
using test::kKmsKey;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
namespace v1 = boundary::v1;

const std::string kSecret(32, '\x11');
constexpr char kAddress[] = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";

class ProvisioningTest : public testing::Test {
 protected:
  ProvisioningTest() : client_(*kms_.NewClient(Credentials())) {}
  static kms::Credentials Credentials() {
    kms::Credentials credentials;
    credentials.secret_access_key = *ethereum::SecretBytes::CopyOf("sesame");
    return credentials;
  }
  v1::Provision Request(const std::string& ciphertext) {
    v1::Provision request;
    test::FillCredentials(request.mutable_aws());
    request.set_ciphertext(ciphertext);
    return request;
  }
  absl::StatusOr<Provisioned> Run(const v1::Provision& request,
                                  StateKeys state_keys = StateKeys::kFromKms) {
    if (absl::Status s = Check(request, state_keys); !s.ok()) return s;
    return Provision(request, state_keys, client_.get());
  }
  // A first provisioning's request and state key, for a second.
  v1::Provision Again() {
    v1::Provision request = Request(kms_.Encrypt(kSecret));
    absl::StatusOr<Provisioned> first = Run(request);
    EXPECT_TRUE(first.ok()) << first.status();
    *request.mutable_state_keys() = first->answer.new_state_keys();
    return request;
  }
  static void ExpectRefused(const absl::StatusOr<Provisioned>& result, v1::ErrorCode code,
                            const std::string& sentence) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(CodeOf(result.status()), code) << result.status();
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(sentence));
  }

  FakeKms kms_;
  std::unique_ptr<kms::Client> client_;
};

TEST_F(ProvisioningTest, TheEncodingsOfASigningKey) {
  const std::string hex = absl::BytesToHexString(kSecret);
  for (const std::string& text :
       {kSecret, hex, "0x" + hex, hex + "\n", "0x" + hex + " \r\n\t", absl::AsciiStrToUpper(hex)}) {
    const auto done = Run(Request(kms_.Encrypt(text)));
    ASSERT_TRUE(done.ok()) << done.status() << " " << text;
    EXPECT_EQ(ethereum::ToHex(done->answer.address()), kAddress);
    EXPECT_EQ(done->keys.signing.address().ToHex(), kAddress);
  }
  for (const std::string& text :
       {std::string(31, '\x11'), std::string(33, '\x11'), hex.substr(1), hex + "1", "\n" + hex,
        "0y" + hex, "x" + hex.substr(1), std::string(32, '\0'), std::string(32, '\xff'),
        std::string(64, '0'), std::string(" "), std::string(5000, 'a')}) {
    const auto refused = Run(Request(kms_.Encrypt(text)));
    ExpectRefused(refused, v1::ERROR_KMS, "no signing key");
    EXPECT_THAT(std::string(refused.status().message()), testing::Not(HasSubstr(hex.substr(1))));
  }
}

TEST_F(ProvisioningTest, TheFirstStateKeyIsMadeTaggedAndSaysItsContext) {
  const auto done = Run(Request(kms_.Encrypt(kSecret)));
  ASSERT_TRUE(done.ok()) << done.status();
  ASSERT_EQ(done->answer.new_state_keys_size(), 1);
  const v1::StateKey& stored = done->answer.new_state_keys(0);
  EXPECT_EQ(stored.epoch(), 1u);
  EXPECT_EQ(stored.key_id(), kKmsKey) << "the one that Decrypt named";
  ASSERT_THAT(done->keys.state, SizeIs(1));
  EXPECT_TRUE(sealing::CheckStateKeyTag(done->keys.tag_key, done->keys.state[0],
                                        stored.ciphertext(), stored.tag())
                  .ok());
  ASSERT_THAT(kms_.calls, SizeIs(2));
  EXPECT_THAT(kms_.calls[1].context,
              ElementsAre(Pair("coffer:address", kAddress), Pair("coffer:epoch", "1"),
                          Pair("coffer:purpose", "state-key")));
  EXPECT_EQ(done->answer.ciphertext(), "");
}

TEST_F(ProvisioningTest, AStateKeyOfItsOwnKmsKey) {
  v1::Provision request = Request(kms_.Encrypt(kSecret));
  request.set_state_key_id("alias/state");
  const auto done = Run(request);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->answer.new_state_keys(0).key_id(), "alias/state");
  EXPECT_EQ(done->keys.state_key_id, "alias/state");
}

TEST_F(ProvisioningTest, StoredStateKeysAreOpenedInOrderAndNoneIsMade) {
  v1::Provision request = Again();
  auto first = Run(request);
  ASSERT_TRUE(first.ok()) << first.status();
  for (uint32_t epoch = 2; epoch <= 3; ++epoch) {
    auto next = MakeStateKey({first->keys.signing.address(), 0}, epoch, kKmsKey, client_.get());
    ASSERT_TRUE(next.ok() && Tag(first->keys.tag_key, &*next).ok());
    *request.add_state_keys() = next->stored;
  }
  const auto done = Run(request);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_THAT(done->answer.new_state_keys(), IsEmpty());
  ASSERT_THAT(done->keys.state, SizeIs(3));
  EXPECT_EQ(done->keys.state[2].epoch, 3u);
  EXPECT_EQ(done->keys.state[0].secret.view(), first->keys.state[0].secret.view());
  // Without the oldest, which nothing is sealed under any more.
  request.mutable_state_keys()->DeleteSubrange(0, 1);
  EXPECT_TRUE(Run(request).ok());
}

TEST_F(ProvisioningTest, AStateKeyThatNoEnclaveHadMadeIsRefused) {
  const v1::Provision good = Again();
  const kms::EncryptionContext context = {
      {"coffer:purpose", "state-key"}, {"coffer:address", kAddress}, {"coffer:epoch", "1"}};
  // The host encrypts a key that it knows, under the right context.
  v1::Provision hosts = good;
  hosts.mutable_state_keys(0)->set_ciphertext(kms_.Encrypt(std::string(32, 'h'), context));
  ExpectRefused(Run(hosts), v1::ERROR_STATE_REFUSED, "epoch 1 was not made by an enclave");
  v1::Provision tag = good;
  (*tag.mutable_state_keys(0)->mutable_tag())[7] ^= 1;
  ExpectRefused(Run(tag), v1::ERROR_STATE_REFUSED, "not made by an enclave");
  v1::Provision wrong_size = good;
  wrong_size.mutable_state_keys(0)->set_ciphertext(kms_.Encrypt(std::string(31, 'h'), context));
  ExpectRefused(Run(wrong_size), v1::ERROR_STATE_REFUSED, "31 bytes");
  // Another enclave's, and one under another epoch, are encrypted with another context.
  v1::Provision others = Request(kms_.Encrypt(std::string(32, '\x12')));
  *others.mutable_state_keys() = good.state_keys();
  ExpectRefused(Run(others), v1::ERROR_KMS, "the state key of epoch 1: InvalidCiphertext");
  v1::Provision moved = good;
  moved.mutable_state_keys(0)->set_epoch(2);
  ExpectRefused(Run(moved), v1::ERROR_KMS, "the state key of epoch 2: InvalidCiphertext");
}

TEST_F(ProvisioningTest, TheExpectedAddressIsCompared) {
  v1::Provision request = Request(kms_.Encrypt(kSecret));
  request.set_expected_address(std::string(ethereum::Address::FromHex(kAddress)->view()));
  EXPECT_TRUE(Run(request).ok());
  request.set_ciphertext(kms_.Encrypt(std::string(32, '\x12')));
  kms_.calls.clear();
  ExpectRefused(Run(request), v1::ERROR_KMS,
                "19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A is expected");
  EXPECT_THAT(kms_.calls, SizeIs(1)) << "and nothing more is asked for such a key";
}

TEST_F(ProvisioningTest, ASigningKeysContextIsPassedOn) {
  const kms::EncryptionContext context = {{"deployment", "eu-1"}};
  v1::Provision request = Request(kms_.Encrypt(kSecret, context));
  ExpectRefused(Run(request), v1::ERROR_KMS, "the signing key: InvalidCiphertextException");
  (*request.mutable_encryption_context())["deployment"] = "eu-1";
  EXPECT_TRUE(Run(request).ok());
}

TEST_F(ProvisioningTest, GenerateGivesTheCiphertextThatProvisionTakes) {
  v1::Generate request;
  test::FillCredentials(request.mutable_aws());
  request.set_key_id("alias/payments");
  request.set_key_spec("AES_256");
  (*request.mutable_encryption_context())["deployment"] = "eu-1";
  ASSERT_TRUE(Check(request).ok());
  const auto made = Generate(request, StateKeys::kFromKms, client_.get());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->answer.key_spec(), "AES_256");
  EXPECT_EQ(made->answer.key_id(), "alias/payments");
  ASSERT_EQ(made->answer.new_state_keys_size(), 1);
  v1::Provision again = Request(made->answer.ciphertext());
  *again.mutable_encryption_context() = request.encryption_context();
  *again.mutable_state_keys() = made->answer.new_state_keys();
  again.set_expected_address(made->answer.address());
  const auto opened = Run(again);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->keys.state[0].secret.view(), made->keys.state[0].secret.view());
}

TEST_F(ProvisioningTest, WithoutAStorageTheStateKeyIsDerived) {
  const auto done = Run(Request(kms_.Encrypt(kSecret)), StateKeys::kDerived);
  ASSERT_TRUE(done.ok());
  EXPECT_THAT(done->answer.new_state_keys(), IsEmpty());
  ASSERT_THAT(done->keys.state, SizeIs(1));
  EXPECT_EQ(done->keys.state[0].epoch, 0u);
  EXPECT_EQ(done->keys.tag_key.size(), 0u);
  EXPECT_THAT(kms_.calls, SizeIs(1));
  ExpectRefused(Run(Again(), StateKeys::kDerived), v1::ERROR_MALFORMED, "--storage none");
}

// ---- one signing key after another --------------------------------------------------------------

// A first provisioning, and a signing key that follows it.
class NextSigningKeyTest : public ProvisioningTest {
 protected:
  NextSigningKeyTest() : request_(Again()), first_(*Run(request_)), made_(Make()) {
    *request_.mutable_next_signing_key() = made_.stored;
    *request_.add_state_keys() = made_.state.stored;
    kms_.calls.clear();
  }
  MadeSigningKey Make() {
    auto made = MakeSigningKey({{first_.keys.signing.address(), 0}, kKmsKey, {}, 2, "alias/state"},
                               client_.get());
    EXPECT_TRUE(made.ok()) << made.status();
    Tag(first_.keys.tag_key, &*made);
    return *std::move(made);
  }
  // In the place of the one that was made: a key that the host knows.
  void Forge() {
    const auto known = ethereum::PrivateKey::FromBytes(std::string(32, '\x77'));
    v1::SigningKey* const next = request_.mutable_next_signing_key();
    next->set_ciphertext(kms_.Encrypt(std::string(32, '\x77'), {next->encryption_context().begin(),
                                                                next->encryption_context().end()}));
    next->set_address(std::string(known->address().view()));
  }

  v1::Provision request_;
  Provisioned first_;
  MadeSigningKey made_;
};

TEST_F(NextSigningKeyTest, BothAreOpenedAndTheNewestVouches) {
  const auto done = Run(request_);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->keys.signing.address().ToHex(), kAddress);
  ASSERT_TRUE(done->keys.next.has_value());
  EXPECT_EQ(done->keys.next->address(), made_.key.address());
  EXPECT_EQ(done->keys.newest_epoch(), 1u);
  EXPECT_EQ(done->keys.tag_key.view(), made_.tag_key.view());
  EXPECT_EQ(done->keys.signing_key_id, kKmsKey);
  ASSERT_THAT(done->keys.state, SizeIs(2));
  EXPECT_EQ(done->keys.state[1].secret.view(), made_.state.key.secret.view());
  EXPECT_EQ(done->answer.address(), first_.answer.address());
  EXPECT_THAT(kms_.calls[1].context,
              ElementsAre(Pair("coffer:after", kAddress), Pair("coffer:epoch", "1"),
                          Pair("coffer:purpose", "signing-key")));
  EXPECT_THAT(kms_.calls[3].context,
              ElementsAre(Pair("coffer:address", made_.key.address().ToHex()),
                          Pair("coffer:epoch", "2"), Pair("coffer:purpose", "state-key")));
}

TEST_F(NextSigningKeyTest, AloneOnceTheOtherHasGone) {
  v1::Provision alone = Request(made_.stored.ciphertext());
  *alone.mutable_encryption_context() = made_.stored.encryption_context();
  alone.set_signing_key_epoch(1);
  alone.set_expected_address(made_.stored.address());
  *alone.add_state_keys() = made_.state.stored;
  const auto done = Run(alone);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_FALSE(done->keys.next.has_value());
  EXPECT_EQ(done->keys.newest_epoch(), 1u);
  *alone.mutable_state_keys(0) = request_.state_keys(0);
  ExpectRefused(Run(alone), v1::ERROR_STATE_REFUSED, "made for another signing key");
  // The third is vouched for by the second.
  auto third =
      MakeSigningKey({{done->keys.signing.address(), 1}, kKmsKey, {}, 3, kKmsKey}, client_.get());
  ASSERT_TRUE(third.ok()) << third.status();
  Tag(done->keys.tag_key, &*third);
  *alone.mutable_state_keys(0) = made_.state.stored;
  *alone.mutable_next_signing_key() = third->stored;
  EXPECT_TRUE(Run(alone).ok());
  Tag(first_.keys.tag_key, &*third);
  *alone.mutable_next_signing_key() = third->stored;
  ExpectRefused(Run(alone), v1::ERROR_STATE_REFUSED, "was not made by an enclave");
}

TEST_F(NextSigningKeyTest, OneThatNobodyVouchesForIsRefused) {
  Forge();
  ExpectRefused(Run(request_), v1::ERROR_STATE_REFUSED, "was not made by an enclave");
}

TEST_F(NextSigningKeyTest, TheNamedAddressIsCompared) {
  const std::string address = request_.next_signing_key().address();
  Forge();
  request_.mutable_next_signing_key()->set_address(address);
  ExpectRefused(Run(request_), v1::ERROR_KMS, "which is not the one that is named");
}

TEST_F(NextSigningKeyTest, ItHasTheContextOfTheOneBeforeToo) {
  SigningKeyWish wish{{first_.keys.signing.address(), 0}, kKmsKey, {}, 2, kKmsKey};
  wish.context = {{"deployment", "eu-1"}, {"coffer:purpose", "what the operator said"}};
  const auto made = MakeSigningKey(wish, client_.get());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(
      kms_.calls[0].context,
      ElementsAre(Pair("coffer:after", kAddress), Pair("coffer:epoch", "1"),
                  Pair("coffer:purpose", "what the operator said"), Pair("deployment", "eu-1")));
  EXPECT_EQ(made->stored.encryption_context_size(), 4);
  for (int i = 0; i < 5; ++i) wish.context[absl::StrCat("more ", i)] = "";
  EXPECT_EQ(CodeOf(MakeSigningKey(wish, client_.get()).status()), v1::ERROR_OUT_OF_RANGE);
}

// A KMS key of the host's own would let the host open what was made.
TEST_F(NextSigningKeyTest, ItIsMadeUnderTheKeyOfTheOneBefore) {
  class OtherKey final : public kms::Client {
   public:
    explicit OtherKey(kms::Client* real) : real_(real) {}
    absl::StatusOr<kms::OpenedKey> Decrypt(std::string_view ciphertext, std::string_view key_id,
                                           std::string_view algorithm,
                                           const kms::EncryptionContext& context) override {
      return real_->Decrypt(ciphertext, key_id, algorithm, context);
    }
    absl::StatusOr<kms::OpenedKey> GenerateDataKey(std::string_view /*key_id*/,
                                                   const kms::EncryptionContext& context) override {
      return real_->GenerateDataKey("arn:aws:kms:eu-west-1:2:key/hosts", context);
    }
    absl::StatusOr<ethereum::SecretBytes> GenerateRandom(size_t bytes) override {
      return real_->GenerateRandom(bytes);
    }

   private:
    kms::Client* const real_;
  };
  OtherKey other(client_.get());
  const auto made =
      MakeSigningKey({{first_.keys.signing.address(), 0}, kKmsKey, {}, 2, kKmsKey}, &other);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(CodeOf(made.status()), v1::ERROR_KMS);
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("under another key"));
}

TEST_F(NextSigningKeyTest, WhatItMayNotHoldIsRefusedBeforeAnybodyIsAsked) {
  struct Row {
    const char* sentence;
    std::function<void(v1::Provision*)> change;
  };
  const Row rows[] = {
      {"is of epoch 2 and follows one of epoch 0",
       [](auto* r) { r->mutable_next_signing_key()->set_epoch(2); }},
      {"is of epoch 0", [](auto* r) { r->mutable_next_signing_key()->set_epoch(0); }},
      {"follows one of epoch 7", [](auto* r) { r->set_signing_key_epoch(7); }},
      {"without state keys", [](auto* r) { r->clear_state_keys(); }},
      {"next_signing_key's ciphertext",
       [](auto* r) { r->mutable_next_signing_key()->clear_ciphertext(); }},
      {"next_signing_key's tag has 31",
       [](auto* r) { r->mutable_next_signing_key()->mutable_tag()->pop_back(); }},
      {"next_signing_key's address has 0",
       [](auto* r) { r->mutable_next_signing_key()->clear_address(); }},
      {"next_signing_key's key_id",
       [](auto* r) { r->mutable_next_signing_key()->set_key_id(std::string(2049, 'k')); }},
      {"encryption_context's key",
       [](auto* r) { (*r->mutable_next_signing_key()->mutable_encryption_context())[""] = "v"; }},
      {"state_keys[1]'s address", [](auto* r) { r->mutable_state_keys(1)->set_address("short"); }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.sentence);
    v1::Provision request = request_;
    row.change(&request);
    ExpectRefused(Run(request), v1::ERROR_MALFORMED, row.sentence);
  }
  request_.clear_state_keys();
  ExpectRefused(Run(request_, StateKeys::kDerived), v1::ERROR_MALFORMED, "--storage none");
  EXPECT_THAT(kms_.calls, IsEmpty());
  EXPECT_EQ(CodeOf(Check(v1::RotateSigningKey())), v1::ERROR_MALFORMED) << "no credentials";
}

TEST_F(ProvisioningTest, TroubleOfKmsKeepsItsName) {
  const v1::Provision request = Request(kms_.Encrypt(kSecret));
  struct Row {
    absl::Status trouble;
    v1::ErrorCode code;
  };
  for (const Row& row :
       {Row{absl::FailedPreconditionError("AccessDeniedException: no"), v1::ERROR_KMS},
        Row{absl::DataLossError("it has a Plaintext"), v1::ERROR_KMS},
        Row{absl::UnavailableError("ThrottlingException"), v1::ERROR_UNAVAILABLE},
        Row{absl::InvalidArgumentError("a parameter"), v1::ERROR_MALFORMED},
        Row{absl::ResourceExhaustedError("no memory"), v1::ERROR_OVERLOADED}}) {
    kms_.trouble = row.trouble;
    ExpectRefused(Run(request), row.code, std::string(row.trouble.message()));
  }
}

TEST_F(ProvisioningTest, WhatARequestMayNotHoldIsRefusedBeforeAnybodyIsAsked) {
  const v1::Provision good = Again();
  struct Row {
    const char* sentence;
    std::function<void(v1::Provision*)> change;
  };
  const Row rows[] = {
      {"region", [](auto* r) { r->mutable_aws()->set_region("evil.example/x"); }},
      {"region", [](auto* r) { r->mutable_aws()->set_region("evil.example"); }},
      {"region", [](auto* r) { r->mutable_aws()->set_region("us-east-2\n"); }},
      {"region", [](auto* r) { r->mutable_aws()->set_region("-us"); }},
      {"region", [](auto* r) { r->mutable_aws()->set_region(""); }},
      {"region", [](auto* r) { r->mutable_aws()->set_region(std::string(33, 'a')); }},
      {"access_key_id", [](auto* r) { r->mutable_aws()->clear_access_key_id(); }},
      {"secret_access_key", [](auto* r) { r->mutable_aws()->clear_secret_access_key(); }},
      {"session_token",
       [](auto* r) { r->mutable_aws()->set_session_token(std::string(16'385, 't')); }},
      {"ciphertext", [](auto* r) { r->clear_ciphertext(); }},
      {"ciphertext", [](auto* r) { r->set_ciphertext(std::string(6145, 'c')); }},
      {"key_id", [](auto* r) { r->set_key_id(std::string(2049, 'k')); }},
      {"state_key_id", [](auto* r) { r->set_state_key_id(std::string(2049, 'k')); }},
      {"encryption_algorithm", [](auto* r) { r->set_encryption_algorithm(std::string(65, 'a')); }},
      {"expected_address", [](auto* r) { r->set_expected_address("short"); }},
      {"9 pairs",
       [](auto* r) {
         for (int i = 0; i < 9; ++i) {
           (*r->mutable_encryption_context())[absl::StrCat("key ", i)] = "";
         }
       }},
      {"encryption_context's key", [](auto* r) { (*r->mutable_encryption_context())[""] = "v"; }},
      {"encryption_context's value",
       [](auto* r) { (*r->mutable_encryption_context())["k"] = std::string(1025, 'v'); }},
      {"is a state key's",
       [](auto* r) { (*r->mutable_encryption_context())["coffer:purpose"] = "state-key"; }},
      {"epoch 0", [](auto* r) { r->mutable_state_keys(0)->set_epoch(0); }},
      {"follows epoch 1", [](auto* r) { *r->add_state_keys() = r->state_keys(0); }},
      {"follows epoch 1",
       [](auto* r) {
         *r->add_state_keys() = r->state_keys(0);
         r->mutable_state_keys(1)->set_epoch(3);
       }},
      {"state_keys[0]'s ciphertext", [](auto* r) { r->mutable_state_keys(0)->clear_ciphertext(); }},
      {"state_keys[0]'s tag has 0", [](auto* r) { r->mutable_state_keys(0)->clear_tag(); }},
      {"state_keys[0]'s key_id",
       [](auto* r) { r->mutable_state_keys(0)->set_key_id(std::string(2049, 'k')); }},
      {"at most 64",
       [](auto* r) {
         for (uint32_t epoch = 2; epoch <= 65; ++epoch) {
           *r->add_state_keys() = r->state_keys(0);
           r->mutable_state_keys(r->state_keys_size() - 1)->set_epoch(epoch);
         }
       }},
  };
  kms_.calls.clear();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.sentence);
    v1::Provision request = good;
    row.change(&request);
    ExpectRefused(Run(request), v1::ERROR_MALFORMED, row.sentence);
  }
  EXPECT_THAT(kms_.calls, IsEmpty());
  v1::Generate generate;
  test::FillCredentials(generate.mutable_aws());
  generate.set_key_spec("AES_256");
  EXPECT_EQ(CodeOf(Check(generate)), v1::ERROR_MALFORMED) << "no key_id";
  generate.set_key_id("alias/x");
  EXPECT_TRUE(Check(generate).ok());
  generate.set_key_spec("AES_128");
  EXPECT_EQ(CodeOf(Check(generate)), v1::ERROR_MALFORMED);
  v1::RotateStateKey rotate;
  EXPECT_EQ(CodeOf(Check(rotate)), v1::ERROR_MALFORMED) << "no credentials";
}

}  // namespace
}  // namespace coffer::provisioning
