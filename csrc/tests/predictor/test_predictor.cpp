#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "board/predict_command.h"
#include "predictor/predictor.h"
#include "tests/edgp_sample.h"

namespace edgeprof {
namespace {

using edgp_sample::Bytes;
using edgp_sample::make;
using edgp_sample::seal;

const edgp_sample::Shape kShape{{3, 4, 2}, 2, 3, 2, 4};

std::string refusal(const Bytes& bytes) {
    CompactPredictor predictor;
    return predictor.load(bytes.data(), bytes.size()).message;
}

TEST_CASE("an additive predictor adds what each choice costs") {
    // Two slots of cost 0.5 in each of two terms, scale 0.5, shift 0.5, unit 2, offset 1:
    // 1 + 2 * (0.5 + 2 * 0.5 * (0.5 + 0.5)) = 4; with one slot left out 1 + 2 * (0.5 + 0.5) = 3.
    const Bytes bytes = make({{3, 4, 2}, 2, 0, 0, 2});
    CompactPredictor predictor;
    REQUIRE(predictor.load(bytes.data(), bytes.size()).ok());
    const std::vector<std::uint8_t> codes = {1, 3, 0, 0, 3, 1, 0, 0, 0};
    std::vector<double> latency_ms(3);
    BadCode bad{};
    REQUIRE(predictor.predict_ms(codes.data(), 3, latency_ms.data(), &bad));
    CHECK(latency_ms[0] == doctest::Approx(4));
    CHECK(latency_ms[1] == doctest::Approx(3));
    CHECK(latency_ms[2] == doctest::Approx(2));
    CHECK(std::string(predictor.space()) == "a-space");
    CHECK(std::string(predictor.device()) == "a-device");
}

TEST_CASE("the inner network is added to the costs") {
    // One slot, all values 0.5: y = 0.25; z = 0.25 + 0.5; a = z / (1 + z) = 3/7;
    // u = 3/7 * 0.5 + 0.5 = 5/7; v = 5/12; 0.5 + 0.25 + 0.5 * 3/7 + 0.5 * 5/12.
    const Bytes bytes = make({{2, 1}, 1, 1, 1, 4}, 0.5F, 1, 0);
    CompactPredictor predictor;
    REQUIRE(predictor.load(bytes.data(), bytes.size()).ok());
    const std::uint8_t codes[] = {1, 0};
    double latency_ms = 0;
    BadCode bad{};
    REQUIRE(predictor.predict_ms(codes, 1, &latency_ms, &bad));
    CHECK(latency_ms == doctest::Approx(0.75 + 0.5 * 3 / 7 + 0.5 * 5 / 12));
}

TEST_CASE("a code outside the space is named, and what came before it is kept") {
    const Bytes bytes = make(kShape);
    CompactPredictor predictor;
    REQUIRE(predictor.load(bytes.data(), bytes.size()).ok());
    const std::vector<std::uint8_t> codes = {0, 0, 0, 0, 4, 1};
    std::vector<double> latency_ms(2, -1);
    BadCode bad{};
    CHECK_FALSE(predictor.predict_ms(codes.data(), 2, latency_ms.data(), &bad));
    CHECK(bad.row == 1);
    CHECK(bad.column == 1);
    CHECK(latency_ms[0] > 0);
    CHECK(latency_ms[1] == -1);
}

TEST_CASE("every truncation is refused") {
    const Bytes whole = make(kShape);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_FALSE(refusal(cut).empty());
        seal(cut);  // even if size and CRC fit
        CHECK_FALSE(refusal(cut).empty());
    }
}

TEST_CASE("every flipped bit is noticed") {
    const Bytes whole = make(kShape);
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
        Bytes flipped = whole;
        flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
        CHECK_FALSE(refusal(flipped).empty());
    }
}

TEST_CASE("a predictor that was refused holds nothing of the file before it") {
    const Bytes good = make(kShape);
    CompactPredictor predictor;
    REQUIRE(predictor.load(good.data(), good.size()).ok());
    CHECK_FALSE(predictor.load(good.data(), good.size() - 1).ok());
    CHECK(predictor.n_columns() == 0);
    CHECK(std::string(predictor.space()).empty());
}

TEST_CASE("values that are no numbers are refused") {
    CHECK(refusal(make(kShape, 70000.0F)).find("no number") != std::string::npos);
    CHECK(refusal(make(kShape, INFINITY)).find("no number") != std::string::npos);
    CHECK(refusal(make(kShape, NAN)).find("no number") != std::string::npos);
    CHECK(refusal(make(kShape, 65504.0F)).empty());
}

TEST_CASE("the largest tables stay below 64 KiB") {
    CompactPredictor predictor;
    const Bytes bytes = make({{200, 200, 200, 200, 80}, 1, 0, 0, 2});
    REQUIRE(predictor.load(bytes.data(), bytes.size()).ok());
    CHECK(predictor.memory_bytes() <= 64 * 1024);
    CHECK(refusal(make({{200, 200, 200, 200, 200}, 1, 0, 0, 2})).find("tables") !=
          std::string::npos);
}

struct PredictorFile {
    std::string path = "test_predictor.edgp";
    PredictorFile() {
        const Bytes bytes = make({{3, 4, 2}, 2, 0, 0, 2});
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
    ~PredictorFile() { std::remove(path.c_str()); }
};

TEST_CASE("the predict command answers each line of codes") {
    const PredictorFile file;
    std::istringstream in("[1, 3, 0]\n\n[0,0,0]\n");
    std::ostringstream out;
    std::string complaint;
    CHECK(predict_lines(file.path, in, out, complaint));
    CHECK(out.str() == "{\"latency_ms\":4}\n{\"latency_ms\":2}\n");
}

TEST_CASE("the predict command names the line it cannot answer") {
    const PredictorFile file;
    for (const auto& [line, reason] :
         std::vector<std::pair<std::string, std::string>>{{"[1,3]", "array of 3 codes"},
                                                          {"{}", "array of 3 codes"},
                                                          {"[1,", "no JSON"},
                                                          {"[1,3,256]", "0 to 255"},
                                                          {"[1,3,-1]", "0 to 255"},
                                                          {"[1,3,2]", "column 2"}}) {
        std::istringstream in("[0,0,0]\n" + line + "\n");
        std::ostringstream out;
        std::string complaint;
        CHECK_FALSE(predict_lines(file.path, in, out, complaint));
        CHECK(complaint.find("line 2: ") == 0);
        CHECK(complaint.find(reason) != std::string::npos);
    }
}

TEST_CASE("the predict command says which file is no predictor") {
    std::istringstream in;
    std::ostringstream out;
    std::string complaint;
    CHECK_FALSE(predict_lines("/nowhere/p.edgp", in, out, complaint));
    CHECK(complaint == "/nowhere/p.edgp: cannot be read: No such file or directory");
}

}  // namespace
}  // namespace edgeprof
