#include <doctest/doctest.h>

#include <string>

#include "base/sha256.h"

using namespace edgeprof;

TEST_CASE("SHA-256 of the standard's examples") {
    CHECK(sha256_of_bytes("abc") ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_of_bytes("") ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_of_bytes(std::string(1'000'000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(sha256_of_file("/no/such/file").empty());
}
