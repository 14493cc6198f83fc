// Times the C++ reader in batches and the generated C call by call; see predictor_speed.py.
//
//     predictor_speed P.edgp        with the C source of the same predictor, shipped as `p`
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "p.h"
#include "predictor/predictor.h"

namespace {

constexpr int kRounds = 15;
constexpr std::size_t kSubnets = 100'000;

// Time of this thread only: what else runs on the machine does not count.
double thread_ns() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

template <class Work>
double best_ns_per_subnet(Work work) {
    double best = 0;
    for (int round = 0; round < kRounds; ++round) {
        const double start = thread_ns();
        work();
        const double spent = (thread_ns() - start) / static_cast<double>(kSubnets);
        best = round == 0 ? spent : std::min(best, spent);
    }
    return best;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    std::ifstream file(argv[1], std::ios::binary);
    const std::vector<std::uint8_t> bytes((std::istreambuf_iterator<char>(file)), {});
    edgeprof::CompactPredictor predictor;
    if (const auto outcome = predictor.load(bytes.data(), bytes.size()); !outcome.ok()) {
        std::fprintf(stderr, "%s: %s\n", argv[1], outcome.message);
        return 1;
    }
    const std::size_t columns = predictor.n_columns();
    std::mt19937 random(1);
    std::vector<std::uint8_t> codes(kSubnets * columns);
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = static_cast<std::uint8_t>(random() % predictor.cardinality(i % columns));
    std::vector<double> latency_ms(kSubnets);
    edgeprof::BadCode bad{};
    const double batch = best_ns_per_subnet(
        [&] { predictor.predict_ms(codes.data(), kSubnets, latency_ms.data(), &bad); });
    double sum = 0;
    const double single = best_ns_per_subnet([&] {
        for (std::size_t i = 0; i < kSubnets; ++i) {
            float one = 0;
            p_predict_ms(codes.data() + i * columns, &one);
            sum += static_cast<double>(one);
        }
    });
    std::printf("{\"cpp_batch_ns\": %.2f, \"c_single_ns\": %.2f, \"sum\": %.3f}\n", batch, single,
                sum);
    return 0;
}
