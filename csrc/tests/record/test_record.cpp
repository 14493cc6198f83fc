#include <doctest/doctest.h>

#include <string>

#include "record/record.h"

using namespace edgeprof;

TEST_CASE("messages of runtimes become one line") {
    CHECK(one_line(" a\n\tb  c\r\n") == "a b c");
    CHECK(one_line(std::string(5000, 'x')).size() < 700);
}
