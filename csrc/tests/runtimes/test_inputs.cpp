#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "board/given_values_json.h"
#include "runtimes/input_shapes.h"
#include "runtimes/input_values.h"
#include "runtimes/model_file.h"
#include "runtimes/reason.h"

using namespace edgeprof;

namespace {

LoadSettings settings_with(std::map<std::string, std::vector<std::int64_t>> shapes,
                           const std::string& inputs = "{}", std::uint64_t seed = 1) {
    LoadSettings settings{"m.onnx", 1, seed, std::move(shapes), {}, {}};
    const json::Value given = json::parse(inputs);
    for (const auto& [name, value] : *given.as_object()) {
        settings.inputs[name] = read_given_values(name, value);
    }
    return settings;
}

template <class T>
std::vector<T> filled(const TensorFacts& facts, const LoadSettings& settings) {
    std::vector<T> values(count_elements(facts.shape));
    fill_input(values.data(), values.size() * sizeof(T), facts, settings, 0);
    return values;
}

std::string refusal(const std::vector<ModelInput>& inputs, const LoadSettings& settings) {
    try {
        fix_shapes(inputs, settings);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

// A field of a protobuf message that holds bytes, at most 127 of them.
std::string field(int number, const std::string& bytes) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

const ModelInput kImage{{"x", "float32", {-1, 3, -1, -1}}, true, {"batch", "", "h", "w"}};

}  // namespace

TEST_CASE("inputs are the same for the same seed, other for another, and never denormal") {
    const TensorFacts facts{"x", "float32", {10, 100}};
    const auto a = filled<float>(facts, settings_with({}));
    CHECK(a == filled<float>(facts, settings_with({})));
    CHECK(a != filled<float>(facts, settings_with({}, "{}", 2)));
    for (const float value : a) {
        CHECK(value >= -1.0f);
        CHECK(value < 1.0f);
        CHECK((value == 0.0f || std::abs(value) > 1e-30f));
    }
    CHECK(bytes_per_element("string") == 0);
}

TEST_CASE("values are given by name, or by type for all inputs of it") {
    const auto given = settings_with({}, R"({"sr": {"values": [16000]},
        "int64": {"range": [5, 7]}, "mask": {"values": [0, 1, 1], "shape": [1, 3]},
        "bias": {"values": [1, "-inf", "nan"]}})");
    CHECK(filled<std::int64_t>({"sr", "int64", {}}, given) == std::vector<std::int64_t>{16000});
    CHECK(filled<std::int32_t>({"sr", "int32", {2}}, given) ==
          std::vector<std::int32_t>{16000, 16000});
    CHECK(filled<std::uint8_t>({"mask", "bool", {1, 3}}, given) ==
          std::vector<std::uint8_t>{0, 1, 1});
    const auto bias = filled<float>({"bias", "float32", {3}}, given);
    CHECK(bias[1] == -std::numeric_limits<float>::infinity());
    CHECK(std::isnan(bias[2]));
    bool is_seen[3] = {};
    for (const std::int64_t value : filled<std::int64_t>({"ids", "int64", {100}}, given)) {
        REQUIRE(value >= 5);
        REQUIRE(value <= 7);
        is_seen[value - 5] = true;
    }
    CHECK((is_seen[0] && is_seen[1] && is_seen[2]));
    CHECK(filled<std::uint16_t>({"sr", "float16", {1}}, settings_with({}, R"({"sr":
        {"values": [1.5]}})")) == std::vector<std::uint16_t>{0x3E00});
    CHECK(filled<std::uint16_t>({"sr", "float16", {1}}, given) ==
          std::vector<std::uint16_t>{0x73D0});
}

TEST_CASE("values that a type does not hold, or too many of them, are refused") {
    const auto given = settings_with({}, R"({"x": {"values": [300]}, "y": {"values": [0.5]},
        "z": {"values": [1, 2, 3]}, "t": {"texts": ["hello"]}, "r": {"range": [-1, 1]}})");
    CHECK_THROWS_AS(filled<std::uint8_t>({"x", "uint8", {1}}, given), Error);
    CHECK_THROWS_AS(filled<std::int8_t>({"x", "int8", {1}}, given), Error);
    CHECK_THROWS_AS(filled<std::uint8_t>({"x", "bool", {1}}, given), Error);
    CHECK_THROWS_AS(filled<std::int64_t>({"y", "int64", {1}}, given), Error);
    CHECK_THROWS_AS(filled<float>({"z", "float32", {4}}, given), Error);
    CHECK_THROWS_AS(filled<float>({"t", "float32", {1}}, given), Error);
    CHECK_THROWS_AS(filled<std::uint64_t>({"r", "uint64", {1}}, given), Error);
    CHECK(input_texts({"t", "string", {2}}, given) == std::vector<std::string>{"hello", "hello"});
    CHECK_THROWS_AS(input_texts({"q", "string", {2}}, given), Error);
    for (const char* wrong :
         {"[1]", R"({"values": 1})", R"({"range": [1]})", R"({"range": [2, 1]})",
          R"({"values": ["much"]})", R"({"shape": [1]})", R"({"other": [1]})"}) {
        CHECK_THROWS_AS(read_given_values("x", json::parse(wrong)), Error);
    }
}

TEST_CASE("all open shapes are asked for at once, with options that can be given") {
    const ModelInput ids{{"my ids", "int64", {-1, -1}}, true, {"batch", "n"}};
    const ModelInput any{{"z", "float32", {}}, false};
    const std::string asked = refusal({kImage, ids, any}, settings_with({}));
    CHECK(asked.find("--shape x=1,3,224,224 --shape 'my ids=1,1' --shape z=SIZE,SIZE,...") !=
          std::string::npos);
    CHECK(asked.find("'z' of unknown rank") != std::string::npos);
    const auto x_given = settings_with({{"x", {4, 3, 32, 32}}});
    CHECK(refusal({kImage, ids}, x_given).find("--shape 'my ids=4,1'") != std::string::npos);
}

TEST_CASE("proposed shapes are the first usual ones that work") {
    const ModelInput sound{{"sound", "float32", {-1, -1}}};
    const ModelInput state{{"it's", "float32", {2, -1, 128}}};
    const auto asked = [&](const TryShapes& works) {
        try {
            fix_shapes({sound, state}, settings_with({}), works);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    const auto is_long = [](const std::vector<TensorFacts>& open) {
        CHECK(open[1].shape == std::vector<std::int64_t>{2, 1, 128});
        return open[0].shape[1] >= 256;
    };
    CHECK(asked(is_long).find(R"(e.g. --shape sound=1,512 --shape 'it'\''s=2,1,128')") !=
          std::string::npos);
    CHECK(asked([](const auto&) {
              return false;
          }).find(R"(as in --shape sound=SIZE,SIZE --shape 'it'\''s=2,SIZE,128')") !=
          std::string::npos);
}

TEST_CASE("shapes may have dimensions of 0, be a scalar's, or come with an array") {
    const ModelInput past{{"past", "float32", {1, 8, -1, 64}}};
    const ModelInput any{{"any", "float32", {}}, false};
    const auto fixed =
        fix_shapes({past, any}, settings_with({{"past", {1, 8, 0, 64}}, {"any", {}}}));
    CHECK(fixed[0].shape == std::vector<std::int64_t>{1, 8, 0, 64});
    CHECK(count_elements(fixed[0].shape) == 0);
    CHECK(fixed[1].shape.empty());
    const auto array = settings_with({}, R"({"any": {"values": [1, 2], "shape": [2, 1]}})");
    CHECK(fix_shapes({any}, array)[0].shape == std::vector<std::int64_t>{2, 1});
    CHECK(refusal({past}, settings_with({{"past", {1, 8, 64}}})).find("does not fit") !=
          std::string::npos);
    CHECK(refusal({past}, settings_with({}, R"({"nobody": {"values": [1]}})")).find("nobody") !=
          std::string::npos);
    CHECK(refusal({{{"t", "string", {1}}}}, settings_with({})).find("--input t=hello") !=
          std::string::npos);
}

TEST_CASE("inputs that no memory holds are refused by name") {
    const ModelInput square{{"x", "float32", {-1, -1, -1}}};
    for (const std::int64_t n : {std::int64_t{1'000'000}, std::int64_t{1} << 30}) {
        const std::string refused = refusal({square}, settings_with({{"x", {n, n, n}}}));
        CHECK(refused.find("m.onnx: input 'x' of shape " + std::to_string(n)) == 0);
        CHECK(refused.find("GiB of memory") != std::string::npos);
    }
}

TEST_CASE("an ONNX file tells an unknown rank from a scalar, and is none where it is torn") {
    const auto dimension = field(1, field(2, "n"));  // a name instead of a size
    const auto type_of = [](const std::string& shape) {
        return field(2, field(1, std::string("\x08\x01") + shape));
    };
    const std::string graph =
        field(11, field(1, "x") + type_of(field(2, dimension + field(1, "\x08\x03")))) +
        field(11, field(1, "unknown") + type_of("")) +
        field(11, field(1, "scalar") + type_of(field(2, "")));
    const std::string onnx = std::string("\x08\x08") + field(7, field(2, "g") + graph);
    const auto file = parse_model_file(onnx);
    REQUIRE(file);
    CHECK(file->find_input("x")->shape == std::vector<std::int64_t>{-1, 3});
    CHECK_FALSE(file->find_input("unknown")->has_rank);
    CHECK(file->find_input("scalar")->has_rank);
    CHECK(file->find_input("other") == nullptr);
    CHECK(file->n_subgraphs == 0);
    for (std::size_t n = 0; n < onnx.size(); ++n) CHECK(!parse_model_file(onnx.substr(0, n)));
    CHECK(!parse_model_file("\x10\x00\x00\x00TFL3 and nothing more"));
    CHECK(!read_model_file("/no/such/file"));
}

TEST_CASE("reasons of runtimes lose the places in their source") {
    CHECK(without_source_paths("Non-zero status. Status Message: /src/core/reshape.h:91 "
                               "ns::Helper::Helper(const ns::Shape&, bool) size was false.") ==
          "Non-zero status. Status Message: size was false.");
    CHECK(without_source_paths("/a/b.cc:7 virtual int ns::f(T) const [with T = int] no room") ==
          "no room");
    CHECK(without_source_paths("[compiled_model.cc:164] Failed to allocate") ==
          "Failed to allocate");
    CHECK(without_source_paths("model.cc is bad: m.h:x") == "model.cc is bad: m.h:x");
    CHECK(without_source_paths("/a/b.cc:7") == "");
    CHECK(errors_of_log("INFO: a\nERROR: [x.cc:1] Node 0 (Flex) failed\nERROR: [x.cc:1] Node 0 "
                        "(Flex) failed\nERROR: b") == "Node 0 (Flex) failed; b");
}
