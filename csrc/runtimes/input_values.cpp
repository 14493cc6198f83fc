#include "runtimes/input_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/error.h"

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

// IEEE binary16, cut off; values below the smallest normal number become 0.
std::uint16_t to_float16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const int exponent = static_cast<int>((bits >> 23) & 0xFFu) - 127 + 15;
    if (exponent <= 0) return static_cast<std::uint16_t>(sign);
    if (exponent > 30) {
        return static_cast<std::uint16_t>(sign | (std::isnan(value) ? 0x7E00u : 0x7C00u));
    }
    return static_cast<std::uint16_t>(sign | (static_cast<std::uint32_t>(exponent) << 10) |
                                      ((bits >> 13) & 0x3FFu));
}

// Two types of 16 bits that C++ does not have.
struct Float16 {
    explicit Float16(float value) : bits(to_float16(value)) {}
    std::uint16_t bits;
};
struct Bfloat16 {
    explicit Bfloat16(float value) : bits(to_bfloat16(value)) {}
    std::uint16_t bits;
};

// Calls `visit` with a value of the C++ type that has that name in numpy; false: there is none.
template <class Visit>
bool with_type(const std::string& type, Visit&& visit) {
    if (type == "float32") return visit(float{}), true;
    if (type == "float64") return visit(double{}), true;
    if (type == "float16") return visit(Float16(0)), true;
    if (type == "bfloat16") return visit(Bfloat16(0)), true;
    if (type == "int8") return visit(std::int8_t{}), true;
    if (type == "uint8") return visit(std::uint8_t{}), true;
    if (type == "bool") return visit(bool{}), true;
    if (type == "int16") return visit(std::int16_t{}), true;
    if (type == "uint16") return visit(std::uint16_t{}), true;
    if (type == "int32") return visit(std::int32_t{}), true;
    if (type == "uint32") return visit(std::uint32_t{}), true;
    if (type == "int64") return visit(std::int64_t{}), true;
    if (type == "uint64") return visit(std::uint64_t{}), true;
    return false;
}

template <class T>
T make_up(SplitMix64& random) {
    if constexpr (!std::is_integral_v<T>) {
        return T(random.next_unit());
    } else if constexpr (sizeof(T) == 1 && !std::is_same_v<T, bool>) {
        return static_cast<T>(random.next() >> 56);
    } else {
        return static_cast<T>(random.next() >> 63);
    }
}

struct DoesNotFit {};  // a value into a type

template <class T, class Number>
T converted(Number number) {
    if constexpr (!std::is_integral_v<T>) {
        return T(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(number));
    } else if constexpr (std::is_floating_point_v<Number>) {
        if (!(std::abs(number) < 9e18) || number != std::floor(number)) throw DoesNotFit();
        return converted<T>(static_cast<std::int64_t>(number));
    } else {
        const bool is_too_low = std::is_unsigned_v<T>
                                    ? number < 0
                                    : number < static_cast<Number>(std::numeric_limits<T>::min());
        if (is_too_low || (sizeof(T) < sizeof(Number) &&
                           number > static_cast<Number>(std::numeric_limits<T>::max()))) {
            throw DoesNotFit();
        }
        return static_cast<T>(number);
    }
}

// Integers from `low` to `high`, both included; real numbers from `low` to below `high`.
template <class T, class Number>
T draw(SplitMix64& random, Number low, Number high) {
    if constexpr (!std::is_integral_v<T>) {
        const double share = (static_cast<double>(random.next_unit()) + 1.0) / 2.0;
        const auto from = static_cast<double>(low), to = static_cast<double>(high);
        return converted<T>(from + share * (to - from));
    } else if constexpr (std::is_floating_point_v<Number>) {
        return draw<T>(random, converted<std::int64_t>(low), converted<std::int64_t>(high));
    } else {
        const auto span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
        const std::uint64_t step = span == 0 ? random.next() : random.next() % span;
        return static_cast<T>(static_cast<std::uint64_t>(low) + step);
    }
}

template <class T>
void put_given(T* values, std::size_t n, const GivenValues& given, SplitMix64& random) {
    const auto put = [&](const auto& numbers) {
        using Number = typename std::decay_t<decltype(numbers)>::value_type;
        if constexpr (std::is_same_v<Number, std::string>) {
            throw DoesNotFit();
        } else if (given.is_range) {
            converted<T>(numbers[0]);  // both ends fit
            converted<T>(numbers[1]);
            for (std::size_t i = 0; i < n; ++i) values[i] = draw<T>(random, numbers[0], numbers[1]);
        } else {
            for (std::size_t i = 0; i < n; ++i) {
                values[i] = converted<T>(numbers[numbers.size() == 1 ? 0 : i]);
            }
        }
    };
    std::visit(put, given.values);
}

[[noreturn]] void refuse_values(const TensorFacts& facts, const LoadSettings& settings,
                                const std::string& reason) {
    throw Error(ErrorKind::kInvalidJob,
                settings.model_path + ": input '" + facts.name + "' " + reason);
}

void check_count(const TensorFacts& facts, const LoadSettings& settings, const GivenValues& given) {
    const std::size_t n = count_elements(facts.shape);
    if (given.is_range || given.size() == 1 || given.size() == n) return;
    refuse_values(facts, settings,
                  "takes " + std::to_string(n) + " values, got " + std::to_string(given.size()));
}

}  // namespace

std::size_t bytes_per_element(const std::string& type) {
    std::size_t n_bytes = 0;
    with_type(type, [&](auto zero) { n_bytes = sizeof zero; });
    return n_bytes;
}

std::size_t count_elements(const std::vector<std::int64_t>& shape) {
    std::size_t n = 1;
    for (const std::int64_t extent : shape) n *= static_cast<std::size_t>(extent);
    return n;
}

const GivenValues* given_values(const TensorFacts& facts, const LoadSettings& settings) {
    auto found = settings.inputs.find(facts.name);
    if (found == settings.inputs.end()) found = settings.inputs.find(facts.type);
    return found == settings.inputs.end() ? nullptr : &found->second;
}

void fill_input(void* data, std::size_t n_bytes, const TensorFacts& facts,
                const LoadSettings& settings, std::uint64_t stream) {
    SplitMix64 random(settings.seed + 0x5851F42D4C957F2Du * stream);
    const GivenValues* given = given_values(facts, settings);
    if (given != nullptr) check_count(facts, settings, *given);
    const auto fill = [&](auto zero) {
        using T = decltype(zero);
        T* values = static_cast<T*>(data);
        const std::size_t n = n_bytes / sizeof(T);
        if (given != nullptr) {
            put_given(values, std::min(n, count_elements(facts.shape)), *given, random);
        } else {
            for (std::size_t i = 0; i < n; ++i) values[i] = make_up<T>(random);
        }
    };
    try {
        with_type(facts.type, fill);
    } catch (const DoesNotFit&) {
        refuse_values(facts, settings, "is of type " + facts.type + ", which a given value is not");
    }
}

std::vector<std::string> input_texts(const TensorFacts& facts, const LoadSettings& settings) {
    const GivenValues* given = given_values(facts, settings);
    const Texts* texts = given == nullptr ? nullptr : std::get_if<Texts>(&given->values);
    if (texts == nullptr) {
        refuse_values(facts, settings,
                      "is of texts; give one, as in --input " + facts.name + "=hello");
    }
    check_count(facts, settings, *given);
    const std::size_t n = count_elements(facts.shape);
    return texts->size() == 1 ? Texts(n, texts->front()) : *texts;
}

}  // namespace edgeprof
