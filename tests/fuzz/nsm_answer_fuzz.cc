// Any bytes as an answer of the Nitro Secure Module: what is accepted, libcbor reads too and finds
// the same value in it, and written in the shortest form it is accepted again.
#include <cbor.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/nsm.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace {

namespace nsm = coffer::attestation::nsm;
using coffer::attestation::cbor::Writer;

// libcbor's tree of the whole of some bytes.
class Tree {
 public:
  explicit Tree(std::string_view bytes) {
    cbor_load_result result{};
    root_ = cbor_load(reinterpret_cast<cbor_data>(bytes.data()), bytes.size(), &result);
    if (root_ == nullptr && result.error.code == CBOR_ERR_MALFORMATED &&
        static_cast<unsigned char>(bytes[result.error.position]) >> 5 == 6) {
      return;
    }
    COFFER_CHECK(root_ != nullptr && result.read == bytes.size(),
                 "libcbor reads what was accepted, to its end");
  }
  ~Tree() {
    if (root_ != nullptr) cbor_decref(&root_);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  // False where libcbor 0.8 stops: it takes tags that nobody has assigned for malformed.
  explicit operator bool() const { return root_ != nullptr; }
  const cbor_item_t* root() const { return root_; }
  // The value of a key of a map, which is there once.
  static const cbor_item_t* At(const cbor_item_t* map, std::string_view key) {
    COFFER_CHECK(cbor_isa_map(map), "a map");
    const cbor_item_t* found = nullptr;
    for (size_t i = 0; i < cbor_map_size(map); ++i) {
      const cbor_pair& pair = cbor_map_handle(map)[i];
      if (Text(pair.key) != key) continue;
      COFFER_CHECK(found == nullptr, "a key is there once");
      found = pair.value;
    }
    COFFER_CHECK(found != nullptr, "what was read is there");
    return found;
  }
  static std::string_view Text(const cbor_item_t* item) {
    COFFER_CHECK(cbor_isa_string(item), "a text");
    return {reinterpret_cast<const char*>(cbor_string_handle(item)), cbor_string_length(item)};
  }
  static std::string_view Bytes(const cbor_item_t* item) {
    COFFER_CHECK(cbor_isa_bytestring(item), "bytes");
    return {reinterpret_cast<const char*>(cbor_bytestring_handle(item)),
            cbor_bytestring_length(item)};
  }

 private:
  cbor_item_t* root_;
};

using Parse = absl::StatusOr<std::string> (*)(std::string_view);

void CheckBytes(std::string_view answer, const char* request, const char* field, Parse parse) {
  const absl::StatusOr<std::string> read = parse(answer);
  if (!read.ok()) {
    COFFER_CHECK(absl::IsUnavailable(read.status()), "an answer that is none is Unavailable");
    return;
  }
  const Tree tree(answer);
  if (!tree) return;
  COFFER_CHECK(Tree::Bytes(Tree::At(Tree::At(tree.root(), request), field)) == *read,
               "libcbor sees the same bytes");
  Writer again;
  again.Map(1).Text(request).Map(1).Text(field).Bytes(*read);
  COFFER_CHECK(*parse(again.bytes()) == *read, "the shortest form says the same");
}

void CheckPcr(std::string_view answer) {
  const auto read = nsm::ParseDescribePcr(answer);
  if (!read.ok()) return;
  const Tree tree(answer);
  if (!tree) return;
  const cbor_item_t* const fields = Tree::At(tree.root(), "DescribePCR");
  COFFER_CHECK(Tree::Bytes(Tree::At(fields, "data")) == read->value, "libcbor sees the same value");
  COFFER_CHECK(cbor_get_bool(Tree::At(fields, "lock")) == read->locked, "and the same lock");
}

void CheckDescription(std::string_view answer) {
  const auto read = nsm::ParseDescribeNsm(answer);
  if (!read.ok()) return;
  const Tree tree(answer);
  if (!tree) return;
  const cbor_item_t* const fields = Tree::At(tree.root(), "DescribeNSM");
  COFFER_CHECK(Tree::Text(Tree::At(fields, "module_id")) == read->module_id, "the same module");
  COFFER_CHECK(Tree::Text(Tree::At(fields, "digest")) == read->digest, "the same digest");
  COFFER_CHECK(cbor_get_int(Tree::At(fields, "max_pcrs")) == read->max_pcrs, "as many PCRs");
  const cbor_item_t* const locked = Tree::At(fields, "locked_pcrs");
  COFFER_CHECK(cbor_array_size(locked) == read->locked_pcrs.size(), "as many are locked");
}

void CheckName(std::string_view answer, const char* request, const absl::Status& read) {
  if (!read.ok()) return;
  const Tree tree(answer);
  if (!tree) return;
  COFFER_CHECK(Tree::Text(tree.root()) == request, "libcbor sees the name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  const size_t which = input.Below(7);
  const std::string_view answer = input.rest();
  switch (which) {
    case 0:
      CheckBytes(answer, "GetRandom", "random", nsm::ParseGetRandom);
      break;
    case 1:
      CheckBytes(answer, "Attestation", "document", nsm::ParseAttestation);
      break;
    case 2:
      CheckBytes(answer, "ExtendPCR", "data", nsm::ParseExtendPcr);
      break;
    case 3:
      CheckPcr(answer);
      break;
    case 4:
      CheckDescription(answer);
      break;
    case 5:
      CheckName(answer, "LockPCR", nsm::ParseLockPcr(answer));
      break;
    default:
      CheckName(answer, "LockPCRs", nsm::ParseLockPcrs(answer));
  }
  return 0;
}
