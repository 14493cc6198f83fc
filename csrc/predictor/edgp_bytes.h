// What all .edgp files have in common, for their readers: the envelope, and fields one by one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "predictor/outcome.h"

namespace edgeprof {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kCostsHeaderBytes = 44;
constexpr std::size_t kCrcBytes = 4;
constexpr unsigned kSubnetsVersion = 1;
constexpr unsigned kCostsVersion = 2;
constexpr float kMaxValue = 65504.0F;  // of a tensor; no sum of such values overflows

__attribute__((format(printf, 1, 2))) PredictorOutcome refused(const char* format, ...) noexcept;

bool is_clean_text(const std::uint8_t* text, std::size_t size) noexcept;

// Checks what can be checked before any field is believed: magic, version, size and CRC.
PredictorOutcome check_envelope(const std::uint8_t* data, std::size_t size, unsigned version,
                                std::size_t most_bytes) noexcept;

// Reads little-endian fields one after the other; nothing is read beyond the end.
class EdgpSource {
  public:
    EdgpSource(const std::uint8_t* data, std::size_t size) noexcept : data_(data), size_(size) {}

    std::size_t left() const noexcept { return size_ - at_; }
    std::size_t position() const noexcept { return at_; }
    void set_value_bytes(std::size_t bytes) noexcept { value_bytes_ = bytes; }

    std::uint32_t u8() noexcept { return little_endian(1); }
    std::uint32_t u16() noexcept { return little_endian(2); }
    std::uint32_t u32() noexcept { return little_endian(4); }
    float f32() noexcept;

    // One tensor value, or NaN where it is none or too large.
    float value() noexcept;
    // n tensor values; false where one is no number.
    bool values(float* out, std::size_t n) noexcept;
    // A pointer to the next n bytes, or null.
    const std::uint8_t* bytes(std::size_t n) noexcept {
        if (n > left()) return nullptr;
        const std::uint8_t* start = data_ + at_;
        at_ += n;
        return start;
    }

  private:
    // 0 beyond the end: the sizes are compared before a value is believed.
    std::uint32_t little_endian(std::size_t n) noexcept {
        const std::uint8_t* start = bytes(n);
        if (start == nullptr) return 0;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < n; ++i)
            value |= static_cast<std::uint32_t>(start[i]) << (8 * i);
        return value;
    }

    const std::uint8_t* data_;
    std::size_t size_;
    std::size_t at_ = 0;
    std::size_t value_bytes_ = 4;
};

}  // namespace edgeprof
