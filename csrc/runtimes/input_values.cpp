#include "runtimes/input_values.h"

#include <cstring>

namespace edgeprof {

namespace {

// SplitMix64 (Steele, Lea, Flood 2014): one multiplication chain per number, no state to seed up.
class SplitMix64 {
  public:
    explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15u;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    // [-1, 1) in steps of 2^-23, exact in float32.
    float next_unit() { return static_cast<float>(next() >> 40) / 8388608.0f - 1.0f; }

  private:
    std::uint64_t state_;
};

// Upper half of a float32: bfloat16, cut off.
std::uint16_t to_bfloat16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<std::uint16_t>(bits >> 16);
}

// IEEE binary16, cut off; values of [-1, 1) below the smallest normal number become 0.
std::uint16_t to_float16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const int exponent = static_cast<int>((bits >> 23) & 0xFFu) - 127 + 15;
    if (exponent <= 0) return static_cast<std::uint16_t>(sign);
    return static_cast<std::uint16_t>(sign | (static_cast<std::uint32_t>(exponent) << 10) |
                                      ((bits >> 13) & 0x3FFu));
}

template <class T, class Make>
void fill(void* data, std::size_t n, Make&& make) {
    T* values = static_cast<T*>(data);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<T>(make());
}

}  // namespace

std::size_t bytes_per_element(const std::string& type) {
    if (type == "float32" || type == "int32" || type == "uint32") return 4;
    if (type == "float64" || type == "int64" || type == "uint64") return 8;
    if (type == "float16" || type == "bfloat16" || type == "int16" || type == "uint16") return 2;
    if (type == "int8" || type == "uint8" || type == "bool") return 1;
    return 0;
}

void fill_input(void* data, std::size_t n, const std::string& type, std::uint64_t seed,
                std::uint64_t stream) {
    SplitMix64 random(seed + 0x5851F42D4C957F2Du * stream);
    if (type == "float32") {
        fill<float>(data, n, [&] { return random.next_unit(); });
    } else if (type == "float64") {
        fill<double>(data, n, [&] { return random.next_unit(); });
    } else if (type == "float16") {
        fill<std::uint16_t>(data, n, [&] { return to_float16(random.next_unit()); });
    } else if (type == "bfloat16") {
        fill<std::uint16_t>(data, n, [&] { return to_bfloat16(random.next_unit()); });
    } else if (type == "int8" || type == "uint8") {
        fill<std::uint8_t>(data, n, [&] { return random.next() >> 56; });
    } else if (type == "bool") {
        fill<std::uint8_t>(data, n, [&] { return random.next() >> 63; });
    } else if (type == "int16" || type == "uint16") {
        fill<std::uint16_t>(data, n, [&] { return random.next() >> 63; });
    } else if (type == "int32" || type == "uint32") {
        fill<std::uint32_t>(data, n, [&] { return random.next() >> 63; });
    } else if (type == "int64" || type == "uint64") {
        fill<std::uint64_t>(data, n, [&] { return random.next() >> 63; });
    }
}

}  // namespace edgeprof
