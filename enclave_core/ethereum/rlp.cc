#include "enclave_core/ethereum/rlp.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::ethereum::rlp {
namespace {

constexpr uint8_t kShortString = 0x80;  // + length, for up to 55 bytes
constexpr uint8_t kShortList = 0xc0;
constexpr size_t kMaxShort = 55;

// The shortest big-endian form; empty for 0.
std::string_view Trimmed(std::string_view big_endian) {
  const size_t first = big_endian.find_first_not_of('\0');
  return first == std::string_view::npos ? std::string_view() : big_endian.substr(first);
}

void AppendHeader(uint8_t base, size_t size, std::string& out) {
  if (size <= kMaxShort) {
    out.push_back(static_cast<char>(base + size));
    return;
  }
  std::string length = ToBytes32(U256(size));
  const std::string_view digits = Trimmed(length);
  out.push_back(static_cast<char>(base + kMaxShort + digits.size()));
  out.append(digits);
}

class Decoder {
 public:
  Decoder(std::string_view raw, const Limits& limits) : raw_(raw), limits_(limits) {}

  absl::StatusOr<Item> Whole() {
    if (raw_.size() > limits_.max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("RLP: ", raw_.size(), " bytes, allowed are ", limits_.max_bytes));
    }
    absl::StatusOr<Item> item = Next(raw_.size(), 0);
    if (item.ok() && at_ != raw_.size()) {
      return Error(absl::StrCat(raw_.size() - at_, " bytes after the end"));
    }
    return item;
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("RLP: at byte ", at_, ": ", what));
  }

  // The item at at_, which must end at or before `end`.
  absl::StatusOr<Item> Next(size_t end, size_t depth) {
    if (++items_ > limits_.max_items) {
      return Error(absl::StrCat("more than ", limits_.max_items, " items"));
    }
    if (at_ >= end) return Error("an item is missing");
    const size_t start = at_;
    const auto first = static_cast<uint8_t>(raw_[at_]);
    Item item;
    if (first < kShortString) {  // a byte that stands for itself
      item.bytes = item.encoding = raw_.substr(at_++, 1);
      return item;
    }
    item.is_list = first >= kShortList;
    absl::StatusOr<size_t> size = Header(item.is_list ? kShortList : kShortString, end);
    if (!size.ok()) return size.status();
    if (item.is_list) {
      if (depth == limits_.max_depth) return Error("lists are nested too deep");
      const size_t list_end = at_ + *size;
      while (at_ < list_end) {
        absl::StatusOr<Item> child = Next(list_end, depth + 1);
        if (!child.ok()) return child.status();
        item.items.push_back(*std::move(child));
      }
    } else {
      item.bytes = raw_.substr(at_, *size);
      if (*size == 1 && static_cast<uint8_t>(raw_[at_]) < kShortString) {
        return Error("a single byte below 0x80 must stand for itself");
      }
      at_ += *size;
    }
    item.encoding = raw_.substr(start, at_ - start);
    return item;
  }

  // Reads the header at at_ and moves past it. The payload's size, checked to end at or before
  // `end`.
  absl::StatusOr<size_t> Header(uint8_t base, size_t end) {
    const auto code = static_cast<size_t>(static_cast<uint8_t>(raw_[at_]) - base);
    ++at_;
    size_t size = code;
    if (code > kMaxShort) {
      const size_t digits = code - kMaxShort;
      if (digits > end - at_) return Error("the length is cut off");
      if (raw_[at_] == '\0') return Error("the length begins with a zero byte");
      if (digits > sizeof(size_t)) return Error("the length is beyond the input");
      size = 0;
      for (size_t i = 0; i < digits; ++i) size = size << 8 | static_cast<uint8_t>(raw_[at_ + i]);
      if (size <= kMaxShort) return Error("a length of 55 or less has a shorter form");
      at_ += digits;
    }
    if (size > end - at_) {
      return Error(absl::StrCat("a length of ", size, " where ", end - at_, " bytes are left"));
    }
    return size;
  }

  std::string_view raw_;
  const Limits& limits_;
  size_t at_ = 0;
  size_t items_ = 0;
};

absl::Status CheckInteger(const Item& item, size_t max_bytes) {
  if (item.is_list) return absl::InvalidArgumentError("RLP: a list where an integer belongs");
  if (item.bytes.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("RLP: an integer of ", item.bytes.size(), " bytes, allowed are ", max_bytes));
  }
  if (!item.bytes.empty() && item.bytes[0] == '\0') {
    return absl::InvalidArgumentError("RLP: an integer begins with a zero byte");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Item> Decode(std::string_view raw, const Limits& limits) {
  return Decoder(raw, limits).Whole();
}

absl::StatusOr<uint64_t> ToUint64(const Item& item) {
  if (absl::Status status = CheckInteger(item, sizeof(uint64_t)); !status.ok()) return status;
  uint64_t value = 0;
  for (const char c : item.bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

absl::StatusOr<U256> ToU256(const Item& item) {
  if (absl::Status status = CheckInteger(item, 32); !status.ok()) return status;
  return U256FromBytes(item.bytes);
}

void AppendBytes(std::string_view bytes, std::string& out) {
  const bool itself = bytes.size() == 1 && static_cast<uint8_t>(bytes[0]) < kShortString;
  if (!itself) AppendHeader(kShortString, bytes.size(), out);
  out.append(bytes);
}

void AppendUint(uint64_t value, std::string& out) { AppendUint(U256(value), out); }

void AppendUint(const U256& value, std::string& out) {
  const std::string bytes = ToBytes32(value);
  AppendBytes(Trimmed(bytes), out);
}

std::string EncodeList(std::string_view payload) {
  std::string out;
  AppendList(payload, out);
  return out;
}

void AppendList(std::string_view payload, std::string& out) {
  out.reserve(out.size() + payload.size() + 9);
  AppendHeader(kShortList, payload.size(), out);
  out.append(payload);
}

}  // namespace coffer::ethereum::rlp
