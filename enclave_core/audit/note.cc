#include "enclave_core/audit/note.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/audit/tree.h"
#include "invariant/check.h"

namespace coffer::audit {
namespace {

constexpr std::string_view kDash = "\xE2\x80\x94 ";  // U+2014 and a space
constexpr size_t kKeyIdBytes = 4;
constexpr size_t kSignatureBytes = 64;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

uint32_t BigEndian32(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, kKeyIdBytes)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

uint32_t KeyIdOf(std::string_view name, KeyType type, const Hash& public_key) {
  std::string input(name);
  input.push_back('\n');
  input.push_back(static_cast<char>(type));
  input.append(public_key.view());
  return BigEndian32(Sha256(input).view());
}

absl::StatusOr<NoteSignature> ParseSignatureLine(std::string_view line) {
  const auto error = [](const char* what) {
    return absl::InvalidArgumentError(
        absl::StrCat("a note's signature line ", what,
                     ": want an em dash, the key name and base64, with single spaces"));
  };
  if (line.substr(0, kDash.size()) != kDash) return error("does not begin with an em dash");
  line.remove_prefix(kDash.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return error("has no signature");
  NoteSignature signature;
  signature.name = line.substr(0, space);
  if (!IsKeyName(signature.name)) return error("has no valid key name");
  const std::optional<std::string> bytes = DecodeBase64(line.substr(space + 1));
  if (!bytes) return error("is not canonical base64");
  if (bytes->size() <= kKeyIdBytes) return error("is too short for a key ID and a signature");
  signature.key_id = BigEndian32(*bytes);
  signature.bytes = bytes->substr(kKeyIdBytes);
  return signature;
}

}  // namespace

std::string FormatSignatureLine(const NoteSignature& signature) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(signature.key_id >> shift));
  }
  bytes += signature.bytes;
  return std::string(kDash) + signature.name + " " + EncodeBase64(bytes) + "\n";
}

absl::StatusOr<std::vector<NoteSignature>> ParseSignatureLines(std::string_view lines) {
  if (lines.size() > kMaxNoteBytes) {
    return absl::InvalidArgumentError("signature lines of more than 256 KiB are not read");
  }
  std::vector<NoteSignature> out;
  while (!lines.empty()) {
    const std::optional<std::string_view> line = TakeLine(lines);
    if (!line) return absl::InvalidArgumentError("the last signature line has no newline");
    if (out.size() == kMaxSignatures) {
      return absl::InvalidArgumentError(
          absl::StrCat("a note has more than ", kMaxSignatures, " signatures"));
    }
    absl::StatusOr<NoteSignature> signature = ParseSignatureLine(*line);
    if (!signature.ok()) return signature.status();
    out.push_back(*std::move(signature));
  }
  if (out.empty()) return absl::InvalidArgumentError("a note has no signature line");
  return out;
}

absl::StatusOr<Note> ParseNote(std::string_view bytes) {
  if (bytes.size() > kMaxNoteBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a note of ", bytes.size(), " bytes is too long: the most is ", kMaxNoteBytes));
  }
  if (!IsNoteText(bytes)) {
    return absl::InvalidArgumentError("a note is not UTF-8 without control characters");
  }
  // The last empty line divides; the text keeps its final newline.
  const size_t gap = bytes.rfind("\n\n");
  if (gap == std::string_view::npos) {
    return absl::InvalidArgumentError("a note has no empty line before its signatures");
  }
  absl::StatusOr<std::vector<NoteSignature>> signatures =
      ParseSignatureLines(bytes.substr(gap + 2));
  if (!signatures.ok()) return signatures.status();
  return Note{std::string(bytes.substr(0, gap + 1)), *std::move(signatures)};
}

std::string FormatNote(const Note& note) {
  std::string out = note.text + "\n";
  for (const NoteSignature& signature : note.signatures) out += FormatSignatureLine(signature);
  return out;
}

absl::StatusOr<VerifierKey> VerifierKey::Create(std::string_view name, KeyType type,
                                                const Hash& public_key) {
  if (!IsKeyName(name)) {
    return absl::InvalidArgumentError(
        "a key name is empty, too long, or has a space or \"+\": want one like example.com/log");
  }
  VerifierKey key;
  key.name_ = name;
  key.type_ = type;
  key.public_key_ = public_key;
  key.id_ = KeyIdOf(name, type, public_key);
  return key;
}

absl::StatusOr<VerifierKey> VerifierKey::Parse(std::string_view vkey) {
  const auto error = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a verifier key ", what, ": want <name>+<8 hex digits>+<base64 of type and key>"));
  };
  const size_t first = vkey.find('+');
  if (first == std::string_view::npos) return error("has no \"+\"");
  const std::string_view rest = vkey.substr(first + 1);
  if (rest.size() < 10 || rest[8] != '+') return error("has no key ID of 8 hex digits");
  const std::optional<std::string> bytes = DecodeBase64(rest.substr(9));
  if (!bytes || bytes->size() != 1 + Hash::kSize) {
    return error("is not base64 of a type byte and a 32-byte Ed25519 key");
  }
  const auto type = static_cast<KeyType>(bytes->front());
  if (type != KeyType::kEd25519 && type != KeyType::kCosignatureV1) {
    return error("has a type other than Ed25519 (1) and cosignature/v1 (4)");
  }
  absl::StatusOr<VerifierKey> key =
      Create(vkey.substr(0, first), type, *Hash::FromBytes(bytes->substr(1)));
  if (!key.ok()) return key.status();
  if (absl::StrFormat("%08x", key->id()) != rest.substr(0, 8)) {
    return error("has an ID that is not its key's (in lower case)");
  }
  return key;
}

std::string VerifierKey::ToString() const {
  std::string bytes(1, static_cast<char>(type_));
  bytes.append(public_key_.view());
  return absl::StrFormat("%s+%08x+%s", name_, id_, EncodeBase64(bytes));
}

bool VerifierKey::Verify(std::string_view message, std::string_view signature) const {
  if (signature.size() != kSignatureBytes) return false;
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key_.bytes.data(),
                                            public_key_.bytes.size()));
  const Context context(EVP_MD_CTX_new());
  return key != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

absl::StatusOr<NoteSigner> NoteSigner::Create(std::string_view name, KeyType type,
                                              ethereum::SecretBytes seed) {
  if (seed.size() != kSeedBytes) {
    return absl::InvalidArgumentError("the seed of an Ed25519 key has 32 bytes");
  }
  const Key private_key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data().data(), seed.size()));
  Hash public_key;
  size_t size = public_key.bytes.size();
  const bool done =
      private_key != nullptr &&
      EVP_PKEY_get_raw_public_key(private_key.get(), public_key.bytes.data(), &size) == 1;
  COFFER_CHECK(done && size == Hash::kSize, "every 32 bytes are an Ed25519 seed");
  absl::StatusOr<VerifierKey> key = VerifierKey::Create(name, type, public_key);
  if (!key.ok()) return key.status();
  return NoteSigner(*std::move(key), std::move(seed));
}

std::string NoteSigner::SignBytes(std::string_view message) const {
  const Key key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed_.data().data(), seed_.size()));
  const Context context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  size_t size = signature.size();
  const bool done = key != nullptr &&
                    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                    EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()),
                                   &size, Bytes(message), message.size()) == 1;
  COFFER_CHECK(done && size == kSignatureBytes, "Ed25519 signs");
  return signature;
}

NoteSignature NoteSigner::Sign(std::string_view text) const {
  COFFER_CHECK(key_.type() == KeyType::kEd25519, "a cosigner's key signs cosignatures only");
  return {key_.name(), key_.id(), SignBytes(text)};
}

absl::StatusOr<std::vector<size_t>> VerifyNote(const Note& note,
                                               absl::Span<const VerifierKey> trusted) {
  std::vector<size_t> verified;
  for (size_t i = 0; i < trusted.size(); ++i) {
    if (trusted[i].type() != KeyType::kEd25519) continue;
    bool signed_it = false;
    for (const NoteSignature& signature : note.signatures) {
      if (!trusted[i].Claims(signature)) continue;
      if (!trusted[i].Verify(note.text, signature.bytes)) {
        return absl::PermissionDeniedError(
            absl::StrCat("the signature of ", trusted[i].name(), " on the note is wrong"));
      }
      signed_it = true;
    }
    if (signed_it) verified.push_back(i);
  }
  if (verified.empty()) {
    return absl::PermissionDeniedError("no key that is trusted signed the note");
  }
  return verified;
}

}  // namespace coffer::audit
