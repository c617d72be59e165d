// coffer provision against a scripted enclave with development documents: what is sent, and to
// whom nothing is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/host/key_store.h"
#include "enclave_core/attestation/development.h"
#include "enclave_core/attestation/pcrs.h"
#include "runtime/event_loop.h"
#include "runtime/event_network.h"
#include "runtime/os_clock.h"
#include "tests/support/key_enclave.h"
#include "tests/unit/tools/test_log.h"
#include "tools/provision_command.h"

namespace coffer::tools {
namespace {

using boundary::v1::ClientFrame;
using host::KeyEnclave;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSecret[] = "wJalrXUtnFEMI/secret+of+the+test";

class ProvisionTest : public ::testing::Test {
 public:
  ~ProvisionTest() override {
    thread_.RunAndWait([this] {
      enclave_.reset();
      network_.reset();
    });
  }

 protected:
  ProvisionTest() {
    const auto root = *attestation::MakeDevelopmentRoot(runtime::OsWallNow(), 10);
    const std::string digest(48, '\x42');
    attester_ = *attestation::DevelopmentAttester::Create(
        {.secret_pem = root.secret_pem, .program_digest = digest, .clock = runtime::OsWallNow});
    std::ofstream(folder_.path() + "/root.pem") << root.certificate_pem;
    std::ofstream(folder_.path() + "/key.bin", std::ios::binary) << "\x01\x02 from KMS";
    arguments_.endpoint = absl::StrCat("unix://", folder_.path(), "/enclave.sock");
    arguments_.ciphertext_file = folder_.path() + "/key.bin";
    arguments_.keys = folder_.path() + "/keys";
    arguments_.expectations.root = folder_.path() + "/root.pem";
    arguments_.expectations.pcr0 = {attestation::PcrText(digest)};
    arguments_.credentials = "environment";
    arguments_.region = "us-east-2";
    arguments_.timeout = 10;
    thread_.RunAndWait([this] {
      network_ = runtime::NewEventNetwork(thread_.loop());
      enclave_ = std::make_unique<KeyEnclave>(network_.get(),
                                              *runtime::Endpoint::Parse(arguments_.endpoint));
      enclave_->attest = [this](const std::string& nonce) {
        return *attester_->Attest(
            {.user_data = "payments-signer:unprovisioned", .nonce = nonce, .public_key = {}});
      };
    });
  }

  // The exit code; what it printed is in out_ and err_.
  int Run() {
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE01234", 1);
    setenv("AWS_SECRET_ACCESS_KEY", kSecret, 1);
    std::ostringstream out, err;
    std::streambuf* const out_before = std::cout.rdbuf(out.rdbuf());
    std::streambuf* const err_before = std::cerr.rdbuf(err.rdbuf());
    const int code = RunProvision(arguments_);
    std::cout.rdbuf(out_before);
    std::cerr.rdbuf(err_before);
    out_ = out.str();
    err_ = err.str();
    EXPECT_THAT(out_ + err_, Not(HasSubstr(kSecret)));
    return code;
  }
  // Requests with credentials that reached the enclave.
  std::vector<ClientFrame> Provisionings() {
    std::vector<ClientFrame> found;
    thread_.RunAndWait([&] {
      for (const ClientFrame& frame : enclave_->asked) {
        if (frame.has_provision() || frame.has_generate()) found.push_back(frame);
      }
    });
    return found;
  }
  void Refused(const std::string& why, int code = 1) {
    EXPECT_EQ(Run(), code) << out_ << err_;
    EXPECT_THAT(err_, HasSubstr(why));
    EXPECT_THAT(Provisionings(), IsEmpty()) << "and was sent nothing";
  }

  TestFolder folder_;
  std::unique_ptr<attestation::DevelopmentAttester> attester_;
  ProvisionArguments arguments_;
  runtime::EventLoopThread thread_{"enclave"};
  std::unique_ptr<runtime::Network> network_;
  std::unique_ptr<KeyEnclave> enclave_;
  std::string out_, err_;
};

TEST_F(ProvisionTest, TheAttestedEnclaveGetsItsKeyAndTheFolderItsCiphertexts) {
  arguments_.kms_key_id = "alias/coffer";
  arguments_.encryption_context = {"coffer:purpose=signing"};
  arguments_.expected_address = "0x1111111111111111111111111111111111111111";
  arguments_.policy_flags = {"--chain-id", "42161", "--ticket-broker",
                             "0xa8bb618b1520e284046f3dfc448851a1ff26e41b"};
  ASSERT_EQ(Run(), 0) << err_;
  EXPECT_EQ(out_, "0x1111111111111111111111111111111111111111\n");
  ASSERT_EQ(Provisionings().size(), 1u);
  const auto sent = Provisionings()[0].provision();
  EXPECT_EQ(sent.aws().secret_access_key(), kSecret);
  EXPECT_EQ(sent.aws().region(), "us-east-2");
  EXPECT_EQ(sent.ciphertext(), "\x01\x02 from KMS");
  EXPECT_EQ(sent.encryption_context().at("coffer:purpose"), "signing");
  EXPECT_EQ(sent.policy().chain_id(), 42161u);
  EXPECT_EQ(sent.expected_address(), KeyEnclave::Address());
  const auto kept = host::KeyStore::OpenFolder(arguments_.keys);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE((*kept)->HasEpoch(1));
  EXPECT_EQ((*kept)->signing()->key_id, "alias/coffer");
  EXPECT_EQ((*kept)->signing()->policy, sent.policy().SerializeAsString())
      << "the host gives it again at each start";
}

TEST_F(ProvisionTest, AnotherImageGetsNothing) {
  arguments_.expectations.pcr0 = {std::string(96, 'a')};
  Refused("the enclave is not the one that is meant");
  EXPECT_THAT(err_, HasSubstr("pcr0"));
}

TEST_F(ProvisionTest, WithoutAnImageThatIsMeantNothingIsSent) {
  arguments_.expectations.pcr0.clear();
  Refused("say which image is meant with --measurements or --pcr0");
}

TEST_F(ProvisionTest, AReplayedDocumentGetsNothing) {
  enclave_->attest = [this](const std::string&) {
    return *attester_->Attest(
        {.user_data = "payments-signer:unprovisioned", .nonce = "old", .public_key = {}});
  };
  Refused("the enclave is not the one that is meant");
  EXPECT_THAT(err_, HasSubstr("nonce"));
}

TEST_F(ProvisionTest, WithoutItsRootADevelopmentDocumentProvesNothing) {
  arguments_.expectations.root.clear();
  Refused("the enclave is not the one that is meant");
}

TEST_F(ProvisionTest, NoDocumentAtAllHasToBeAskedFor) {
  enclave_->attest = nullptr;
  Refused("no attestation device");
  arguments_.skip_attestation = true;
  EXPECT_EQ(Run(), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("INSECURE"));
}

TEST_F(ProvisionTest, ADryRunShowsAllAndSendsNothing) {
  arguments_.dry_run = true;
  EXPECT_EQ(Run(), 0) << err_;
  EXPECT_THAT(Provisionings(), IsEmpty());
  EXPECT_THAT(out_, HasSubstr("access key id: AKID****1234\n"));
  EXPECT_THAT(out_, HasSubstr("secret access key: (set, masked)\n"));
  EXPECT_THAT(out_, HasSubstr("session token: (none)\n"));
  EXPECT_THAT(out_, HasSubstr("region: us-east-2\n"));
  EXPECT_THAT(out_, HasSubstr("ciphertext: 11 bytes, sha256 "));
  EXPECT_THAT(out_, HasSubstr("policy: (the enclave's own)\n"));
}

TEST_F(ProvisionTest, AGeneratedKeyNeedsAFolderAndIsMadeOnce) {
  arguments_.ciphertext_file.clear();
  arguments_.generate = true;
  Refused("--generate needs --kms-key-id", 2);
  arguments_.kms_key_id = "alias/coffer";
  ASSERT_EQ(Run(), 0) << err_;
  EXPECT_EQ(Provisionings().at(0).generate().key_id(), "alias/coffer");
  EXPECT_EQ((*host::KeyStore::OpenFolder(arguments_.keys))->signing()->ciphertext,
            "generated ciphertext");
  EXPECT_EQ(Run(), 2);
  EXPECT_THAT(err_, HasSubstr("has a signing key's ciphertext already"));
}

TEST_F(ProvisionTest, AFolderWhoseKeyWasRotatedHasAllThatIsNeeded) {
  ASSERT_EQ(Run(), 0) << err_;
  const auto next = KeyEnclave::MadeSigning(1, '\x21');
  const auto to = *ethereum::Address::FromBytes(next.address());
  const auto change = [&](auto&& what) {
    auto kept = host::KeyStore::OpenFolder(arguments_.keys);
    ASSERT_TRUE(kept.ok()) << kept.status();
    ASSERT_TRUE(what(**kept).ok());
  };
  change([&](host::KeyStore& kept) { return kept.PutStateKey(KeyEnclave::MadeFor(next, 2)); });
  change([&](host::KeyStore& kept) { return kept.PutNext(next); });
  const auto again = [&] {
    thread_.RunAndWait([this] {
      enclave_->scripted.phase = boundary::v1::PHASE_UNPROVISIONED;
      enclave_->asked.clear();
    });
  };
  // While one follows the other the expected address may be the new one's.
  again();
  arguments_.expected_address = ethereum::ToChecksum(to);
  ASSERT_EQ(Run(), 0) << err_;
  EXPECT_EQ(Provisionings().at(0).provision().next_signing_key().address(), next.address());
  EXPECT_EQ(Provisionings().at(0).provision().expected_address(), KeyEnclave::Address());
  EXPECT_EQ(Provisionings().at(0).provision().state_keys_size(), 2);
  change([&](host::KeyStore& kept) { return kept.MakeRoot(to); });
  again();
  Refused("was rotated", 2);
  arguments_.ciphertext_file.clear();
  arguments_.policy_flags = {"--chain-id", "42161", "--ticket-broker",
                             "0xa8bb618b1520e284046f3dfc448851a1ff26e41b"};
  ASSERT_EQ(Run(), 0) << err_;
  const auto sent = Provisionings().at(0).provision();
  EXPECT_EQ(sent.ciphertext(), next.ciphertext());
  EXPECT_EQ(sent.signing_key_epoch(), 1u);
  EXPECT_EQ(sent.state_keys_size(), 1);
  EXPECT_EQ(out_, ethereum::ToChecksum(to) + "\n");
  EXPECT_EQ((*host::KeyStore::OpenFolder(arguments_.keys))->Root()->policy,
            sent.policy().SerializeAsString());
}

TEST_F(ProvisionTest, AStateThatIsStoredNeedsTheFolder) {
  arguments_.keys.clear();
  Refused("name the folder");
  enclave_->scripted.without_storage = true;
  EXPECT_EQ(Run(), 0) << err_;
}

TEST_F(ProvisionTest, AnEnclaveWithAKeyIsLeftAlone) {
  ASSERT_EQ(Run(), 0) << err_;
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(err_, HasSubstr("has a key already"));
  EXPECT_EQ(Provisionings().size(), 1u);
}

TEST_F(ProvisionTest, TheFolderOfARunningHostIsNotTouched) {
  const auto host = host::KeyStore::OpenFolder(arguments_.keys);
  ASSERT_TRUE(host.ok());
  Refused("is in use by process", 2);
}

TEST_F(ProvisionTest, WhatKmsRefusesIsSaid) {
  enclave_->refuse = boundary::v1::ERROR_KMS;
  EXPECT_EQ(Run(), 1);
  EXPECT_THAT(err_, HasSubstr("AccessDeniedException: no"));
}

TEST(ProvisionArgumentsTest, ThePolicysFlags) {
  const std::vector<std::string> identity = {"--chain-id=42161", "--ticket-broker",
                                             "0xa8bb618b1520e284046f3dfc448851a1ff26e41b"};
  const auto policy = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), identity.begin(), identity.end());
    const auto text = PolicyOf(flags, boundary::v1::PROFILE_AUTHORITY);
    boundary::v1::Policy proto;
    EXPECT_TRUE(text.ok() && proto.ParseFromString(*text)) << text.status();
    return proto;
  };
  const auto both =
      policy({"--allowed-recipient", std::string("0x") + std::string(40, '2'),
              "--allowed-recipient=0x" + std::string(40, '1'), "--require-allowlist"});
  EXPECT_EQ(both.allowed_recipients_size(), 2);
  EXPECT_TRUE(both.require_allowlist());
  EXPECT_EQ(policy({"--max-face-value-eth", "0.5"}).SerializeAsString(),
            policy({"--max-face-value-wei", "500000000000000000"}).SerializeAsString());
  EXPECT_EQ(PolicyOf({}, boundary::v1::PROFILE_AUTHORITY).value(), "");
  for (const auto& [flags, why] :
       {std::pair<std::vector<std::string>, std::string>{{"--max-face-value-eth", "-1"}, "below"},
        {{"--max-face-value-eth", "0.0000000000000000001"}, "--max-face-value-eth: "},
        {{"--max-face-value-eth"}, "wants a value"},
        {{"--chain-id", "1"}, "--ticket-broker"},
        {{"--chian-id", "1"}, "did you mean --chain-id"},
        {{"--version"}, "flags alone"}}) {
    EXPECT_THAT(PolicyOf(flags, boundary::v1::PROFILE_AUTHORITY).status().message(),
                HasSubstr(why));
  }
}

TEST(ProvisionArgumentsTest, TheCiphertextInEachForm) {
  TestFolder folder;
  ProvisionArguments arguments;
  const std::string blob("\x01\x02\x02\x00\x78 \n", 7);
  arguments.ciphertext_file = folder.path() + "/c";
  std::ofstream(arguments.ciphertext_file, std::ios::binary) << blob;
  EXPECT_EQ(ReadCiphertext(arguments).value(), blob);
  std::ofstream(arguments.ciphertext_file) << absl::Base64Escape(blob) << "\n";
  EXPECT_EQ(ReadCiphertext(arguments).value(), blob);
  std::ofstream(arguments.ciphertext_file).flush();
  EXPECT_THAT(ReadCiphertext(arguments).status().message(), HasSubstr("0 bytes"));
  arguments.ciphertext_file.clear();
  arguments.ciphertext = absl::Base64Escape(blob);
  EXPECT_EQ(ReadCiphertext(arguments).value(), blob);
  arguments.ciphertext = "%%%";
  EXPECT_THAT(ReadCiphertext(arguments).status().message(), HasSubstr("is not base64"));
  arguments.ciphertext = absl::Base64Escape(std::string(6145, 'x'));
  EXPECT_THAT(ReadCiphertext(arguments).status().message(), HasSubstr("6145 bytes"));
}

}  // namespace
}  // namespace coffer::tools
