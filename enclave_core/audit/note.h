// Signed notes (c2sp.org/signed-note): a text, an empty line, signature lines
//
//   — <key name> base64(4-byte key ID || signature)
//
// with Ed25519 keys (RFC 8032, by OpenSSL). Key ID = the first 4 bytes of SHA-256(name || 0x0A ||
// type || public key). Verifier keys in text: <name>+<8 hex digits of the ID>+base64(type || key).
#ifndef COFFER_ENCLAVE_CORE_AUDIT_NOTE_H_
#define COFFER_ENCLAVE_CORE_AUDIT_NOTE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::audit {

using ethereum::Hash;

// The specification asks that 16 signatures be accepted, and some (post-quantum) take 5 kB each.
inline constexpr size_t kMaxNoteBytes = 256 * 1024;
inline constexpr size_t kMaxSignatures = 64;
inline constexpr size_t kSeedBytes = 32;

struct NoteSignature {
  std::string name;
  uint32_t key_id = 0;
  std::string bytes;  // what follows the key ID
  bool operator==(const NoteSignature&) const = default;
};

struct Note {
  std::string text;  // ends in a newline
  std::vector<NoteSignature> signatures;
  bool operator==(const Note&) const = default;
};

// Exactly the form above: valid UTF-8, no control characters, at least one signature, bounds as
// above. InvalidArgument with a sentence. Says nothing about who signed.
absl::StatusOr<Note> ParseNote(std::string_view bytes);
std::string FormatNote(const Note& note);
// One line with its newline, and a sequence of such lines (1..kMaxSignatures).
std::string FormatSignatureLine(const NoteSignature& signature);
absl::StatusOr<std::vector<NoteSignature>> ParseSignatureLines(std::string_view lines);

// Signature type bytes that signed-note assigns; the two that Coffer uses.
enum class KeyType : uint8_t {
  kEd25519 = 0x01,        // a log's, over the text
  kCosignatureV1 = 0x04,  // a witness's, timestamped (c2sp.org/tlog-cosignature)
};

// A public key that somebody decided to trust.
class VerifierKey {
 public:
  // InvalidArgument for a name that cannot be one.
  static absl::StatusOr<VerifierKey> Create(std::string_view name, KeyType type,
                                            const Hash& public_key);
  // The text form. The ID must be the one that the key has. Types other than KeyType's are refused.
  static absl::StatusOr<VerifierKey> Parse(std::string_view vkey);
  std::string ToString() const;

  const std::string& name() const { return name_; }
  KeyType type() const { return type_; }
  uint32_t id() const { return id_; }
  const Hash& public_key() const { return public_key_; }
  // Whether a line claims to be this key's. Two keys can share a name or an ID, not both by chance.
  bool Claims(const NoteSignature& signature) const {
    return signature.key_id == id_ && signature.name == name_;
  }
  // Plain Ed25519 over `message`; `signature` has 64 bytes.
  bool Verify(std::string_view message, std::string_view signature) const;
  bool operator==(const VerifierKey&) const = default;

 private:
  VerifierKey() = default;
  std::string name_;
  KeyType type_ = KeyType::kEd25519;
  uint32_t id_ = 0;
  Hash public_key_;
};

// A private key. Its seed stays in locked memory (I8); OpenSSL sees it for the length of a
// signature and wipes its copy. Deterministic: equal input gives equal output.
class NoteSigner {
 public:
  // The seed is RFC 8032's 32-byte private key.
  static absl::StatusOr<NoteSigner> Create(std::string_view name, KeyType type,
                                           ethereum::SecretBytes seed);
  const VerifierKey& key() const { return key_; }
  const ethereum::SecretBytes& seed() const { return seed_; }
  // 64 bytes over `message`, for formats that build on notes.
  std::string SignBytes(std::string_view message) const;
  // Over the note's text, for keys of type kEd25519 only.
  NoteSignature Sign(std::string_view text) const;

 private:
  NoteSigner(VerifierKey key, ethereum::SecretBytes seed)
      : key_(std::move(key)), seed_(std::move(seed)) {}
  VerifierKey key_;
  ethereum::SecretBytes seed_;
};

// The keys of `trusted` (type kEd25519) that signed the note, by their index. As the specification
// has it: signatures of unknown keys are ignored, a wrong one of a known key rejects the note, and
// so does having none.
absl::StatusOr<std::vector<size_t>> VerifyNote(const Note& note,
                                               absl::Span<const VerifierKey> trusted);

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_NOTE_H_
