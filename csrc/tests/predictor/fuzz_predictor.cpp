// Throws mutated .edgp files at the reader; to be run under ASan and UBSan.
//
//     edgeprof_fuzz_predictor [N [SEED]]
//
// Nine of ten mutants get a fitting size field and CRC, so that they reach the checks behind.
// A mutant is refused with a message, or read; then its predictions must be finite, whatever the
// codes. Anything else ends the program with status 1.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "predictor/layer_costs.h"
#include "predictor/predictor.h"
#include "tests/edgp_sample.h"
#include "tests/layer_costs_sample.h"

namespace edgeprof {
namespace {

using edgp_sample::Bytes;

class Mutator {
  public:
    explicit Mutator(std::uint64_t seed) : random_(seed) {
        for (const edgp_sample::Shape& shape :
             {edgp_sample::Shape{{3, 4, 2}, 2, 3, 2, 4}, edgp_sample::Shape{{10, 2}, 5, 10, 8, 2},
              edgp_sample::Shape{{2, 2, 2, 2, 3}, 1, 0, 0, 2},
              edgp_sample::Shape{{1, 256, 1}, 1, 0, 3, 4}})
            seeds_.push_back(edgp_sample::make(shape));
        // As likely as the others together.
        for (std::size_t others = seeds_.size(), i = 0; i < others; ++i)
            seeds_.push_back(layer_costs_sample::make());
    }

    Bytes next() {
        Bytes bytes = seeds_[below(seeds_.size())];
        const std::size_t mutations = 1 + below(4);
        for (std::size_t i = 0; i < mutations && !bytes.empty(); ++i) mutate(bytes);
        if (below(10) != 0) edgp_sample::seal(bytes);
        return bytes;
    }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }

  private:
    void mutate(Bytes& bytes) {
        constexpr std::uint8_t kEdges[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x7c};
        // Half of all hits go to the header, where the decisions are.
        const std::size_t at =
            below(2) == 0 ? below(std::min<std::size_t>(bytes.size(), 48)) : below(bytes.size());
        switch (below(6)) {
            case 0:
                bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << below(8)));
                break;
            case 1:
                bytes[at] = static_cast<std::uint8_t>(random_());
                break;
            case 2:
                bytes[at] = kEdges[below(sizeof kEdges)];
                break;
            case 3:
                bytes.resize(at);
                break;
            case 4:
                bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(8),
                             static_cast<std::uint8_t>(random_()));
                break;
            default:
                // The program text of one offset at another: lengths and counts that fit elsewhere.
                bytes[at] = bytes[below(bytes.size())];
        }
    }

    std::mt19937_64 random_;
    std::vector<Bytes> seeds_;
};

// Predicts codes of all kinds; returns whether every answer was a number or a refusal.
bool predictions_are_sane(const CompactPredictor& predictor, Mutator& mutator) {
    std::vector<std::uint8_t> codes(predictor.n_columns());
    for (int attempt = 0; attempt < 4; ++attempt) {
        const bool wild = attempt == 0;
        for (std::size_t column = 0; column < codes.size(); ++column)
            codes[column] = static_cast<std::uint8_t>(
                mutator.below(wild ? 256 : predictor.cardinality(column)));
        double latency_ms = 0;
        BadCode bad{};
        const bool predicted = predictor.predict_ms(codes.data(), 1, &latency_ms, &bad);
        if (predicted ? !std::isfinite(latency_ms) : !wild || bad.column >= codes.size())
            return false;
    }
    return true;
}

// The same of networks: layers of all kinds, with numbers within range and beyond.
bool costs_are_sane(const LayerCosts& costs, Mutator& mutator) {
    constexpr double kNumbers[] = {0, 1, 3, 1e6, 1e18, -1, 1e300};
    for (int attempt = 0; attempt < 4; ++attempt) {
        const bool wild = attempt == 0;
        LayerNumbers layers[3];
        for (LayerNumbers& layer : layers) {
            layer.kind = mutator.below(costs.n_kinds() + (wild ? 2 : 0));
            layer.quantities.fill(1);
            for (double& number : layer.quantities) number = kNumbers[mutator.below(wild ? 7 : 5)];
            for (double& number : layer.sizes) number = kNumbers[mutator.below(wild ? 7 : 5)];
            layer.quantities[6] = 1;
        }
        double latency_ms = 0;
        const std::size_t good = costs.predict_ms(layers, 3, &latency_ms);
        if (good == 3 ? !(std::isfinite(latency_ms) && latency_ms >= 0) : !wild) return false;
    }
    return true;
}

int fuzz(std::uint64_t n, std::uint64_t seed) {
    Mutator mutator(seed);
    CompactPredictor predictor;
    LayerCosts costs;
    std::uint64_t accepted = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
        const Bytes bytes = mutator.next();
        // Exactly as long as the file, so that a read beyond it is seen.
        const Bytes exact(bytes.begin(), bytes.end());
        const bool of_subnets = predictor.load(exact.data(), exact.size()).ok();
        if (!of_subnets && !costs.load(exact.data(), exact.size()).ok()) continue;
        ++accepted;
        if (!(of_subnets ? predictions_are_sane(predictor, mutator)
                         : costs_are_sane(costs, mutator))) {
            std::fprintf(stderr, "mutant %llu of seed %llu: a prediction is no number\n",
                         static_cast<unsigned long long>(i), static_cast<unsigned long long>(seed));
            return 1;
        }
    }
    std::printf("%llu mutants, seed %llu: %llu read, %llu refused\n",
                static_cast<unsigned long long>(n), static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(accepted),
                static_cast<unsigned long long>(n - accepted));
    return 0;
}

}  // namespace
}  // namespace edgeprof

int main(int argc, char** argv) {
    const std::uint64_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    return edgeprof::fuzz(n, seed);
}
