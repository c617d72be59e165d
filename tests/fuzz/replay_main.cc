// Replays a corpus through a fuzzer's entry point without libFuzzer, so that every input that once
// mattered is a test under every compiler and sanitizer. Beside each file it runs all of its
// prefixes up to 64 bytes and a few longer ones, and each single-byte change of its first 64 bytes:
// cheap neighbours that a decoder must survive.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kHead = 64;

void Run(const std::string& input) {
  // A heap copy of exactly this size lets AddressSanitizer see a read past the end.
  const std::vector<uint8_t> copy(input.begin(), input.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

void RunNeighbours(const std::string& input) {
  for (size_t length = 0; length < input.size(); length += length < kHead ? 1 : 1 + length / 2) {
    Run(input.substr(0, length));
  }
  std::string changed = input;
  for (size_t i = 0; i < changed.size() && i < kHead; ++i) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      changed[i] = static_cast<char>(static_cast<unsigned char>(input[i]) ^ flip);
      Run(changed);
    }
    changed[i] = input[i];
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  Run("");
  size_t files = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(stream), {}};
    std::printf("%s (%zu bytes)\n", entry.path().c_str(), input.size());
    std::fflush(stdout);
    Run(input);
    RunNeighbours(input);
    ++files;
  }
  std::printf("%zu files replayed\n", files);
  // A fuzzer without a corpus would pass for ever without looking at anything.
  return error || files == 0 ? 1 : 0;
}
