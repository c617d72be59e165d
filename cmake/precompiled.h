// What nearly every source includes of the libraries, parsed once a build instead of once a file
// (COFFER_PCH). A source still includes what it uses: the release and fuzz builds and clang-tidy
// have no precompiled header.
#ifndef COFFER_CMAKE_PRECOMPILED_H_
#define COFFER_CMAKE_PRECOMPILED_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/boundary.pb.h"
#include "proto/sealed.pb.h"

#endif  // COFFER_CMAKE_PRECOMPILED_H_
