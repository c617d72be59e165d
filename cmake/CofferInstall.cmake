# cmake --install build/release --prefix DIR: the programs in DIR/bin, and the load harness in DIR/share/coffer, where `coffer bench`
# looks for it (tools/bench_command.cc); what it measures with is there where the benchmarks are built (COFFER_BENCH). The harness
# imports what it shares with the tests as ../tests/js, so that is where it goes.
set(INSTALLED coffer coffer-enclave coffer-host coffer-verify)
if(COFFER_BENCH)
  coffer_targets_of(${CMAKE_SOURCE_DIR}/bench BENCH_TARGETS)
  foreach(NAME ${BENCH_TARGETS})
    get_target_property(TYPE ${NAME} TYPE)
    if(TYPE STREQUAL EXECUTABLE)
      list(APPEND INSTALLED ${NAME})
    endif()
  endforeach()
endif()
install(TARGETS ${INSTALLED} RUNTIME DESTINATION bin)
install(DIRECTORY bench/ DESTINATION share/coffer/bench FILES_MATCHING PATTERN "*.mjs" PATTERN load EXCLUDE PATTERN micro EXCLUDE)
install(FILES tests/js/journal.mjs DESTINATION share/coffer/tests/js)
install(FILES tests/js/lib/cli.mjs tests/js/lib/journal.mjs tests/js/lib/random.mjs DESTINATION share/coffer/tests/js/lib)
