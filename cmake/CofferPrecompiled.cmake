# Precompiled headers (COFFER_PCH; the presets that CI builds): two of them, one for the tests, shared by all targets. Most of
# a file's compile time goes into the same headers of abseil, protobuf and gtest; docs/performance.md has the figures.
option(COFFER_PCH "Share precompiled headers between all targets" OFF)

function(coffer_targets_of DIR OUT)
  get_property(TARGETS DIRECTORY ${DIR} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(FOLDERS DIRECTORY ${DIR} PROPERTY SUBDIRECTORIES)
  foreach(FOLDER ${FOLDERS})
    coffer_targets_of(${FOLDER} INNER)
    list(APPEND TARGETS ${INNER})
  endforeach()
  set(${OUT} ${TARGETS} PARENT_SCOPE)
endfunction()

function(coffer_precompiled_header NAME HEADER)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/${NAME}.cc CONTENT "// Something to compile the header with.\n")
  add_library(${NAME} OBJECT ${CMAKE_BINARY_DIR}/generated/${NAME}.cc)
  target_link_libraries(${NAME} PRIVATE ${ARGN})
  target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_precompile_headers(${NAME} PRIVATE <cmake/${HEADER}>)
  # Not from the compiler cache: it would preprocess the header by way of the one that was compiled before.
  set_target_properties(${NAME} PROPERTIES CXX_COMPILER_LAUNCHER "")
  # No two precompiled headers have the same bytes, so ccache is told by what it is to know them (CCACHE_PCH_EXTSUM): the text.
  set(PRECOMPILED_SUFFIX gch)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    set(PRECOMPILED_SUFFIX pch)
  endif()
  set(GCH ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${NAME}.dir/cmake_pch.hxx.${PRECOMPILED_SUFFIX})
  separate_arguments(FLAGS UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  add_custom_command(OUTPUT ${GCH}.sum
    COMMAND sh -c "\"$@\" | sha256sum >${GCH}.sum" text ${CMAKE_CXX_COMPILER} ${FLAGS} -std=c++20 -x c++ -E -P -fmacro-prefix-map=${CMAKE_SOURCE_DIR}=.
            -I${CMAKE_SOURCE_DIR} -I${CMAKE_BINARY_DIR}/generated ${CMAKE_SOURCE_DIR}/cmake/${HEADER}
    DEPENDS ${GCH} VERBATIM)
  add_custom_target(${NAME}_sum DEPENDS ${GCH}.sum)
endfunction()

# To be called when all targets are there.
function(coffer_use_precompiled_headers)
  # GCC 12 forgets that a header is a system's when it comes precompiled, and then sees such things inside std::string (-O1). The
  # builds without COFFER_PCH keep the warning.
  set(QUIET "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>")
  if(COFFER_SANITIZE)  # whose checks, compiled in, make it see yet more
    list(APPEND QUIET "$<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread;-Wno-maybe-uninitialized>")
  endif()
  coffer_targets_of(${CMAKE_SOURCE_DIR} TARGETS)
  # What ccache needs to see what a precompiled header was made of, or to find it unchanged.
  set(CACHEABLE "$<IF:$<CXX_COMPILER_ID:GNU>,-fpch-preprocess,SHELL:-Xclang -fno-pch-timestamp>")
  add_compile_options(${CACHEABLE} -fPIC)
  set(COMMON coffer_proto absl::status absl::statusor absl::strings absl::str_format absl::flat_hash_map absl::flat_hash_set
             absl::any_invocable absl::function_ref absl::int128 absl::time absl::span)
  coffer_precompiled_header(coffer_precompiled precompiled.h ${COMMON})
  if(COFFER_TESTS)
    coffer_precompiled_header(coffer_precompiled_tests precompiled_tests.h ${COMMON} GTest::gmock)
    target_compile_options(coffer_precompiled_tests PRIVATE ${COFFER_TEST_FLAGS})
  endif()
  foreach(NAME ${TARGETS})
    get_target_property(TYPE ${NAME} TYPE)
    get_target_property(LINKED ${NAME} LINK_LIBRARIES)
    if(NOT TYPE MATCHES "STATIC_LIBRARY|EXECUTABLE" OR NAME STREQUAL coffer_proto)
      continue()
    endif()
    # One header serves libraries and programs only when both are compiled alike; the last flag counts.
    target_compile_options(${NAME} PRIVATE ${CACHEABLE} -fPIC ${QUIET})
    if("${LINKED}" MATCHES "GTest::")
      target_compile_options(${NAME} PRIVATE ${COFFER_TEST_FLAGS})
      target_precompile_headers(${NAME} REUSE_FROM coffer_precompiled_tests)
      add_dependencies(${NAME} coffer_precompiled_tests_sum)
    else()
      target_precompile_headers(${NAME} REUSE_FROM coffer_precompiled)
      add_dependencies(${NAME} coffer_precompiled_sum)
    endif()
  endforeach()
endfunction()
