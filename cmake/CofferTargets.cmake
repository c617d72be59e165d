# How the project names its targets. Sources are found by folder, so that a new file needs no list to be edited.

# coffer_library(NAME [DIR dir] [EXCEPT files...] DEPS targets...): all *.cc of a folder except *_main.cc and EXCEPT.
function(coffer_library NAME)
  cmake_parse_arguments(ARG "" "DIR" "DEPS;EXCEPT" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR .)
  endif()
  file(GLOB SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_DIR}/*.cc)
  list(FILTER SOURCES EXCLUDE REGEX ".*_main\\.cc$")
  list(TRANSFORM ARG_EXCEPT PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_DIR}/)
  list(REMOVE_ITEM SOURCES ${ARG_EXCEPT} "")
  if(NOT SOURCES)
    add_library(${NAME} INTERFACE)
    return()
  endif()
  add_library(${NAME} STATIC ${SOURCES})
  set_target_properties(${NAME} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPS})
endfunction()

# coffer_part(NAME DEPS targets... FILES files...): some files of a folder on their own, so that a small program can link
# them without the rest of the folder and its libraries.
function(coffer_part NAME)
  cmake_parse_arguments(ARG "" "" "DEPS;FILES" ${ARGN})
  add_library(${NAME} STATIC ${ARG_FILES})
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPS})
endfunction()

# coffer_program(NAME main.cc DEPS targets...): lands in build/<preset>/bin.
function(coffer_program NAME MAIN)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${NAME} ${MAIN})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS})
endfunction()

# coffer_test_folder(DIR DEPS targets...): one test program of all *_test.cc of a folder, found by ctest case by case.
function(coffer_test_folder DIR)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${DIR}/*.cc)
  if(NOT SOURCES)
    return()
  endif()
  get_filename_component(PARENT ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set(NAME ${PARENT}_${DIR}_test)
  add_executable(${NAME} ${SOURCES})
  target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${NAME} PRIVATE COFFER_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${NAME} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300 LABELS ${PARENT})
endfunction()
