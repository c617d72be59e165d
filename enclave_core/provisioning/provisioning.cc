#include "enclave_core/provisioning/provisioning.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/secret_hex.h"

namespace coffer::provisioning {
namespace {

using boundary::v1::ERROR_KMS;
using ethereum::PrivateKey;
using ethereum::SecretBytes;

constexpr size_t kSigningKeyBytes = 32;
constexpr uint32_t kFirstEpoch = 1;

// `what` is the key that was asked for: "the signing key".
absl::Status Refused(absl::string_view what, const absl::Status& why) {
  const boundary::v1::ErrorCode code =
      absl::IsUnavailable(why)         ? boundary::v1::ERROR_UNAVAILABLE
      : absl::IsInvalidArgument(why)   ? boundary::v1::ERROR_MALFORMED
      : absl::IsResourceExhausted(why) ? boundary::v1::ERROR_OVERLOADED
                                       : ERROR_KMS;
  return Refuse(code, absl::StrCat(what, ": ", why.message()));
}

std::string NameOf(uint32_t epoch) { return absl::StrCat("the state key of epoch ", epoch); }

kms::EncryptionContext StateKeyContext(const ethereum::Address& address, uint32_t epoch) {
  return {{"coffer:purpose", "state-key"},
          {"coffer:address", address.ToHex()},
          {"coffer:epoch", absl::StrCat(epoch)}};
}

// What operators encrypt: 32 bytes, or their hex digits as a tool printed them.
absl::StatusOr<PrivateKey> ReadSigningKey(const SecretBytes& plaintext) {
  constexpr absl::string_view kNoKey =
      "KMS opened the ciphertext, but what was in it is no signing key: 32 bytes, or 64 hex digits "
      "with or without 0x";
  std::string_view text = plaintext.view();
  absl::StatusOr<PrivateKey> key = Refuse(ERROR_KMS, kNoKey);
  if (text.size() == kSigningKeyBytes) {
    key = PrivateKey::FromBytes(text);
  } else {
    const size_t end = text.find_last_not_of(" \t\r\n");
    text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
    const absl::StatusOr<SecretBytes> bytes = ethereum::SecretFromHex(text, kSigningKeyBytes);
    if (bytes.ok()) {
      key = PrivateKey::FromBytes(bytes->view());
    } else if (absl::IsResourceExhausted(bytes.status())) {
      key = bytes.status();
    }
  }
  if (key.ok()) return key;
  if (absl::IsResourceExhausted(key.status())) return Refused("the signing key", key.status());
  return Refuse(ERROR_KMS, kNoKey);
}

kms::EncryptionContext SigningKeyContext(const SigningKeyWish& wish) {
  kms::EncryptionContext context = wish.context;
  context.emplace("coffer:purpose", "signing-key");
  context["coffer:after"] = wish.after.address.ToHex();
  context["coffer:epoch"] = absl::StrCat(wish.after.epoch + 1);
  return context;
}

// A signing key that was opened, and what it vouches with.
struct OpenVoucher {
  Voucher key;
  SecretBytes tag_key;
};

// The one that had this state key made; null: none of these.
const OpenVoucher* VoucherOf(const boundary::v1::StateKey& stored,
                             const std::vector<OpenVoucher>& vouchers) {
  for (const OpenVoucher& one : vouchers) {
    const bool first = stored.address().empty() && one.key.epoch == 0;
    if (first || stored.address() == one.key.address.view()) return &one;
  }
  return nullptr;
}

absl::StatusOr<MadeStateKey> OpenStateKey(const OpenVoucher& voucher,
                                          const boundary::v1::StateKey& stored, kms::Client* kms) {
  const std::string name = NameOf(stored.epoch());
  absl::StatusOr<kms::OpenedKey> opened =
      kms->Decrypt(stored.ciphertext(), stored.key_id(), {},
                   StateKeyContext(voucher.key.address, stored.epoch()));
  if (!opened.ok()) return Refused(name, opened.status());
  if (opened->plaintext.size() != sealing::kStateKeyBytes) {
    return Refuse(boundary::v1::ERROR_STATE_REFUSED,
                  absl::StrCat(name, " has ", opened->plaintext.size(), " bytes and not ",
                               sealing::kStateKeyBytes, ": no enclave had it made"));
  }
  MadeStateKey out{{stored.epoch(), std::move(opened->plaintext)}, stored};
  out.stored.set_key_id(std::move(opened->key_id));
  const absl::Status checked =
      sealing::CheckStateKeyTag(voucher.tag_key, out.key, stored.ciphertext(), stored.tag());
  if (absl::IsDataLoss(checked)) {
    return Refuse(boundary::v1::ERROR_STATE_REFUSED, checked.message());
  }
  if (!checked.ok()) return Refused(name, checked);
  return out;
}

absl::Status AddVoucher(const PrivateKey& key, uint32_t epoch, std::vector<OpenVoucher>* out) {
  absl::StatusOr<SecretBytes> tag_key = sealing::StateKeyTagKey(key);
  if (!tag_key.ok()) return Refused("the state key", tag_key.status());
  out->push_back({{key.address(), epoch}, *std::move(tag_key)});
  return absl::OkStatus();
}

// The one that follows the signing key, which vouches for it.
absl::Status OpenNext(const boundary::v1::SigningKey& stored, std::vector<OpenVoucher>* vouchers,
                      kms::Client* kms, Provisioned* out) {
  constexpr absl::string_view kName = "the next signing key";
  const kms::EncryptionContext context(stored.encryption_context().begin(),
                                       stored.encryption_context().end());
  const absl::StatusOr<kms::OpenedKey> opened =
      kms->Decrypt(stored.ciphertext(), stored.key_id(), {}, context);
  if (!opened.ok()) return Refused(kName, opened.status());
  absl::StatusOr<PrivateKey> key = ReadSigningKey(opened->plaintext);
  if (!key.ok()) return key.status();
  if (key->address().view() != stored.address()) {
    return Refuse(ERROR_KMS, absl::StrCat(kName, ": the ciphertext holds the key of ",
                                          ethereum::ToChecksum(key->address()),
                                          ", which is not the one that is named"));
  }
  const absl::Status vouched = sealing::CheckSigningKeyTag(
      vouchers->front().tag_key, stored.epoch(), key->address(), stored.ciphertext(), stored.tag());
  if (!vouched.ok()) return Refuse(boundary::v1::ERROR_STATE_REFUSED, vouched.message());
  out->keys.signing_key_id = opened->key_id;
  out->keys.signing_context = context;
  out->keys.next = *std::move(key);
  return AddVoucher(*out->keys.next, stored.epoch(), vouchers);
}

// The state keys that `given` holds, or the first one. `vouchers`: the signing keys, oldest first.
absl::Status AddStateKeys(const google::protobuf::RepeatedPtrField<boundary::v1::StateKey>& given,
                          const std::string& state_key_id, std::vector<OpenVoucher> vouchers,
                          kms::Client* kms, Provisioned* out) {
  out->keys.state_key_id = state_key_id.empty() ? out->keys.signing_key_id : state_key_id;
  for (const boundary::v1::StateKey& stored : given) {
    const OpenVoucher* voucher = VoucherOf(stored, vouchers);
    if (voucher == nullptr) {
      return Refuse(boundary::v1::ERROR_STATE_REFUSED,
                    absl::StrCat(NameOf(stored.epoch()),
                                 " was made for another signing key than those that came with it"));
    }
    absl::StatusOr<MadeStateKey> opened = OpenStateKey(*voucher, stored, kms);
    if (!opened.ok()) return opened.status();
    out->keys.state.push_back(std::move(opened->key));
    if (state_key_id.empty()) out->keys.state_key_id = opened->stored.key_id();
  }
  OpenVoucher& newest = vouchers.back();
  if (given.empty()) {
    absl::StatusOr<MadeStateKey> made =
        MakeStateKey(newest.key, kFirstEpoch, out->keys.state_key_id, kms);
    if (!made.ok()) return made.status();
    if (absl::Status s = Tag(newest.tag_key, &*made); !s.ok()) return Refused("the state key", s);
    out->keys.state.push_back(std::move(made->key));
    out->keys.state_key_id = made->stored.key_id();
    *out->answer.add_new_state_keys() = std::move(made->stored);
  }
  out->keys.tag_key = std::move(newest.tag_key);
  return absl::OkStatus();
}

absl::StatusOr<Provisioned> WithoutStateKeys(PrivateKey signing_key, StateKeys state_keys) {
  Provisioned out{{std::move(signing_key), {}}, {}};
  const ethereum::Address& address = out.keys.signing.address();
  out.answer.set_address(std::string(address.view()));
  if (state_keys == StateKeys::kFromKms) return out;
  absl::StatusOr<Keys> derived = DerivedKeys(std::move(out.keys.signing));
  if (!derived.ok()) return Refused("the state key", derived.status());
  out.keys = *std::move(derived);
  return out;
}

}  // namespace

absl::StatusOr<Keys> DerivedKeys(PrivateKey signing_key) {
  absl::StatusOr<sealing::StateKey> state_key = sealing::DeriveStateKey(signing_key);
  if (!state_key.ok()) return state_key.status();
  Keys keys{std::move(signing_key), {}};
  keys.state.push_back(*std::move(state_key));
  return keys;
}

absl::StatusOr<Provisioned> Provision(const boundary::v1::Provision& request, StateKeys state_keys,
                                      kms::Client* kms) {
  const kms::EncryptionContext context(request.encryption_context().begin(),
                                       request.encryption_context().end());
  absl::StatusOr<kms::OpenedKey> opened =
      kms->Decrypt(request.ciphertext(), request.key_id(), request.encryption_algorithm(), context);
  if (!opened.ok()) return Refused("the signing key", opened.status());
  absl::StatusOr<PrivateKey> key = ReadSigningKey(opened->plaintext);
  if (!key.ok()) return key.status();
  const ethereum::Address address = key->address();
  const std::string& expected = request.expected_address();
  if (!expected.empty() && expected != address.view()) {
    return Refuse(ERROR_KMS,
                  absl::StrCat("the ciphertext holds the key of ", ethereum::ToChecksum(address),
                               ", and that of ",
                               ethereum::ToChecksum(*ethereum::Address::FromBytes(expected)),
                               " is expected: it is another key's ciphertext"));
  }
  absl::StatusOr<Provisioned> out = WithoutStateKeys(*std::move(key), state_keys);
  if (!out.ok() || state_keys == StateKeys::kDerived) return out;
  out->keys.signing_epoch = request.signing_key_epoch();
  out->keys.signing_key_id = opened->key_id;
  out->keys.signing_context = context;
  std::vector<OpenVoucher> vouchers;
  absl::Status added = AddVoucher(out->keys.signing, request.signing_key_epoch(), &vouchers);
  if (added.ok() && request.has_next_signing_key()) {
    added = OpenNext(request.next_signing_key(), &vouchers, kms, &*out);
  }
  if (added.ok()) {
    added =
        AddStateKeys(request.state_keys(), request.state_key_id(), std::move(vouchers), kms, &*out);
  }
  if (!added.ok()) return added;
  return out;
}

absl::StatusOr<Provisioned> Generate(const boundary::v1::Generate& request, StateKeys state_keys,
                                     kms::Client* kms) {
  const kms::EncryptionContext context(request.encryption_context().begin(),
                                       request.encryption_context().end());
  absl::StatusOr<kms::OpenedKey> made = kms->GenerateDataKey(request.key_id(), context);
  if (!made.ok()) return Refused("the signing key", made.status());
  absl::StatusOr<PrivateKey> key = ReadSigningKey(made->plaintext);
  if (!key.ok()) return key.status();
  absl::StatusOr<Provisioned> out = WithoutStateKeys(*std::move(key), state_keys);
  if (!out.ok()) return out;
  out->answer.set_ciphertext(std::move(made->ciphertext));
  out->answer.set_key_id(made->key_id);
  out->answer.set_key_spec(request.key_spec());
  if (state_keys == StateKeys::kDerived) return out;
  out->keys.signing_key_id = made->key_id;
  out->keys.signing_context = context;
  std::vector<OpenVoucher> vouchers;
  absl::Status added = AddVoucher(out->keys.signing, 0, &vouchers);
  if (added.ok()) {
    added = AddStateKeys({}, request.state_key_id(), std::move(vouchers), kms, &*out);
  }
  if (!added.ok()) return added;
  return out;
}

absl::StatusOr<MadeStateKey> MakeStateKey(const Voucher& voucher, uint32_t epoch,
                                          const std::string& key_id, kms::Client* kms) {
  absl::StatusOr<kms::OpenedKey> made =
      kms->GenerateDataKey(key_id, StateKeyContext(voucher.address, epoch));
  if (!made.ok()) return Refused(NameOf(epoch), made.status());
  if (made->plaintext.size() != sealing::kStateKeyBytes || made->ciphertext.empty() ||
      made->ciphertext.size() > kms::kMaxCiphertextBytes) {
    return Refuse(ERROR_KMS,
                  absl::StrCat(NameOf(epoch), ": KMS made a key of ", made->plaintext.size(),
                               " bytes in a ciphertext of ", made->ciphertext.size()));
  }
  MadeStateKey out{{epoch, std::move(made->plaintext)}, {}};
  out.stored.set_epoch(epoch);
  out.stored.set_ciphertext(std::move(made->ciphertext));
  out.stored.set_key_id(std::move(made->key_id));
  if (voucher.epoch != 0) out.stored.set_address(std::string(voucher.address.view()));
  return out;
}

absl::StatusOr<MadeSigningKey> MakeSigningKey(const SigningKeyWish& wish, kms::Client* kms) {
  constexpr absl::string_view kName = "the next signing key";
  const kms::EncryptionContext context = SigningKeyContext(wish);
  if (context.size() > kMaxContextPairs) {
    return Refuse(
        boundary::v1::ERROR_OUT_OF_RANGE,
        absl::StrCat(kName, ": the encryption context would have ", context.size(),
                     " pairs, those of the signing key before it and three more; at most ",
                     kMaxContextPairs, " are allowed"));
  }
  absl::StatusOr<kms::OpenedKey> made = kms->GenerateDataKey(wish.key_id, context);
  if (!made.ok()) return Refused(kName, made.status());
  if (made->key_id != wish.key_id || made->ciphertext.empty() ||
      made->ciphertext.size() > kms::kMaxCiphertextBytes) {
    return Refuse(ERROR_KMS, absl::StrCat(kName, ": KMS made it under another key than ",
                                          wish.key_id, ", or its ciphertext has no fitting size"));
  }
  absl::StatusOr<PrivateKey> key = ReadSigningKey(made->plaintext);
  if (!key.ok()) return key.status();
  absl::StatusOr<SecretBytes> tag_key = sealing::StateKeyTagKey(*key);
  if (!tag_key.ok()) return Refused(kName, tag_key.status());
  const Voucher voucher{key->address(), wish.after.epoch + 1};
  absl::StatusOr<MadeStateKey> state =
      MakeStateKey(voucher, wish.state_epoch, wish.state_key_id, kms);
  if (!state.ok()) return state.status();
  if (absl::Status s = Tag(*tag_key, &*state); !s.ok()) return Refused("the state key", s);
  boundary::v1::SigningKey stored;
  stored.set_epoch(voucher.epoch);
  stored.set_address(std::string(voucher.address.view()));
  stored.set_ciphertext(std::move(made->ciphertext));
  stored.set_key_id(std::move(made->key_id));
  stored.mutable_encryption_context()->insert(context.begin(), context.end());
  return MadeSigningKey{*std::move(key), std::move(stored), *std::move(state), *std::move(tag_key)};
}

void Tag(const SecretBytes& tag_key, MadeSigningKey* made) {
  const ethereum::Hash tag = sealing::SigningKeyTag(tag_key, made->stored.epoch(),
                                                    made->key.address(), made->stored.ciphertext());
  made->stored.set_tag(std::string(tag.view()));
}

absl::Status Tag(const SecretBytes& tag_key, MadeStateKey* made) {
  const absl::StatusOr<ethereum::Hash> tag =
      sealing::StateKeyTag(tag_key, made->key, made->stored.ciphertext());
  if (!tag.ok()) return tag.status();
  made->stored.set_tag(std::string(tag->view()));
  return absl::OkStatus();
}

}  // namespace coffer::provisioning
