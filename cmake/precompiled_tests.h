// precompiled.h for the tests.
#ifndef COFFER_CMAKE_PRECOMPILED_TESTS_H_
#define COFFER_CMAKE_PRECOMPILED_TESTS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmake/precompiled.h"

#endif  // COFFER_CMAKE_PRECOMPILED_TESTS_H_
