#include <doctest/doctest.h>

#include <clocale>
#include <random>
#include <string>

#include "base/json.h"

namespace json = edgeprof::json;

TEST_CASE("a job line is read with its types") {
    const json::Value job = json::parse(
        R"( {"model": "a\"b\u00e9\ud83d\ude00.onnx", "threads": -4, "ci_rel": 1.5e-2, "cpus": [0, 3],
            "deep": {"x": null, "y": true}} )");
    CHECK(*job.find("model")->as_string() == "a\"b\xC3\xA9\xF0\x9F\x98\x80.onnx");
    CHECK(*job.find("threads")->as_int() == -4);
    CHECK(*job.find("ci_rel")->as_double() == 0.015);
    CHECK(job.find("cpus")->as_array()->size() == 2);
    CHECK(job.find("deep")->find("x")->is_null());
    CHECK(*job.find("deep")->find("y")->as_bool());
    CHECK(job.find("absent") == nullptr);
}

TEST_CASE("whatever is not strictly JSON is refused") {
    for (const char* text : {"",
                             " ",
                             "{",
                             "}",
                             "[1,]",
                             "{\"a\":1,}",
                             "{a:1}",
                             "{\"a\" 1}",
                             "'a'",
                             "01",
                             "1.",
                             ".5",
                             "+1",
                             "-",
                             "1e",
                             "nul",
                             "NaN",
                             "Infinity",
                             "1 2",
                             "\"\t\"",
                             "\"\\x\"",
                             "\"\\u12g4\"",
                             "\"\\ud800\"",
                             "\"\\udc00\"",
                             "\"\xC0\xAF\"",
                             "\"\xED\xA0\x80\"",
                             "\"\xFF\"",
                             "\"abc",
                             "{\"a\":1,\"a\":2}",
                             "99999999999999999999",
                             "1e999",
                             "[1}",
                             "// x\n1"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(json::parse(text), json::ParseError);
    }
    CHECK_THROWS_AS(json::parse(std::string("{\"a\":1}\0", 8)), json::ParseError);
}

TEST_CASE("nesting is bounded, so that no text can exhaust the stack") {
    CHECK_NOTHROW(json::parse(std::string(32, '[') + std::string(32, ']')));
    CHECK_THROWS_AS(json::parse(std::string(100000, '[')), json::ParseError);
}

TEST_CASE("what is written reads back the same") {
    json::Writer writer;
    writer.begin_object()
        .member("path", std::string("a\n\"\\\x01 \xC3\xA9"))
        .member("largest", std::int64_t{9223372036854775807})
        .member("third", 1.0 / 3.0)
        .member("none", 0.0 / 0.0)
        .member("samples", std::vector<std::int64_t>{1, 2, 3})
        .member("flag", true)
        .key("nested")
        .begin_array()
        .begin_object()
        .end_object()
        .end_array()
        .end_object();
    const json::Value back = json::parse(writer.text());
    CHECK(*back.find("path")->as_string() == "a\n\"\\\x01 \xC3\xA9");
    CHECK(*back.find("largest")->as_int() == 9223372036854775807);
    CHECK(*back.find("third")->as_double() == 1.0 / 3.0);
    CHECK(back.find("none")->is_null());
    CHECK(back.find("samples")->as_array()->size() == 3);

    json::Writer again;
    again.value(back);
    CHECK(again.text() == writer.text());
}

TEST_CASE("a path that is no UTF-8 still gives a valid text") {
    json::Writer writer;
    writer.value("caf\xE9.onnx");
    CHECK(writer.text() == "\"caf\\ufffd.onnx\"");
    CHECK_NOTHROW(json::parse(writer.text()));
}

TEST_CASE("no sequence of bytes breaks the reader") {
    // Mutations of a valid line reach deeper than random bytes; the sanitizers watch.
    const std::string seed_line =
        R"({"job_id":"a","model":"m.onnx","threads":2,"cpus":[0,1],"shapes":{"x":[1,3,8,8]},"r":1e-3})";
    std::mt19937 random(20261123);
    const std::string alphabet = "{}[]\",:\\u0eE+-.tfn \x01\x80\xC3\xED\xF4";
    int n_valid = 0;
    for (int i = 0; i < 20000; ++i) {
        std::string line = seed_line;
        for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
            const std::size_t at = random() % line.size();
            switch (random() % 3) {
                case 0:
                    line[at] = alphabet[random() % alphabet.size()];
                    break;
                case 1:
                    line.erase(at, 1 + random() % 3);
                    break;
                default:
                    line.insert(at, 1, alphabet[random() % alphabet.size()]);
            }
            if (line.empty()) line = "x";
        }
        try {
            json::Writer writer;
            writer.value(json::parse(line));
            CHECK_NOTHROW(json::parse(writer.text()));
            ++n_valid;
        } catch (const json::ParseError&) {
        }
    }
    CHECK(n_valid > 100);
}
