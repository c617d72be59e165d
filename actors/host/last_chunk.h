// What Boost.Beast's parsers have to be spared.
#ifndef COFFER_ACTORS_HOST_LAST_CHUNK_H_
#define COFFER_ACTORS_HOST_LAST_CHUNK_H_

#include <cstddef>
#include <string_view>

namespace coffer::host {

// Whether a parser in a chunked body has to wait for more than `next`, the bytes that it has not
// taken yet: they may be a part of the last chunk, "0\r\n\r\n" at least (RFC 9112, 7.1). Beast
// wants all of it: the beginning alone, shown twice, fails an assertion of its own.
template <typename Parser>
bool AwaitsLastChunk(const Parser& parser, std::string_view next) {
  constexpr size_t kLastChunkBytes = 5;
  return parser.is_header_done() && parser.chunked() && next.size() < kLastChunkBytes &&
         next.starts_with('0');
}

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LAST_CHUNK_H_
