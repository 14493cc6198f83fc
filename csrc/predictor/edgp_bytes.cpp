#include "predictor/edgp_bytes.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace edgeprof {
namespace {

// CRC-32 as in zlib (reflected polynomial 0xEDB88320), four bits at a time.
std::uint32_t crc32(const std::uint8_t* data, std::size_t size) noexcept {
    constexpr std::uint32_t kTable[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                          0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                          0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                          0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    std::uint32_t crc = 0xffffffffU;
    for (std::size_t i = 0; i < size; ++i) {
        crc ^= data[i];
        crc = (crc >> 4) ^ kTable[crc & 15U];
        crc = (crc >> 4) ^ kTable[crc & 15U];
    }
    return ~crc;
}

float float_of_bits(std::uint32_t bits) noexcept {
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// IEEE binary16; infinities and NaNs become NaN and are refused by the caller.
float float_of_half(std::uint32_t half) noexcept {
    const std::uint32_t sign = (half & 0x8000U) << 16;
    const std::uint32_t exponent = (half >> 10) & 31U;
    const std::uint32_t mantissa = half & 0x3ffU;
    if (exponent == 31) return NAN;
    if (exponent == 0) {  // subnormal: mantissa * 2^-24
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
        return sign != 0 ? -magnitude : magnitude;
    }
    return float_of_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

}  // namespace

PredictorOutcome refused(const char* format, ...) noexcept {
    PredictorOutcome outcome;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(outcome.message, sizeof outcome.message, format, arguments);
    va_end(arguments);
    return outcome;
}

bool is_clean_text(const std::uint8_t* text, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size; ++i) {
        if (text[i] < 0x20 || text[i] == 0x7f) return false;
    }
    return true;
}

float EdgpSource::f32() noexcept { return float_of_bits(u32()); }

float EdgpSource::value() noexcept {
    const float read = value_bytes_ == 2 ? float_of_half(u16()) : f32();
    return std::fabs(read) <= kMaxValue ? read : NAN;
}

bool EdgpSource::values(float* out, std::size_t n) noexcept {
    bool good = true;
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = value();
        good = good && !std::isnan(out[i]);
    }
    return good;
}

PredictorOutcome check_envelope(const std::uint8_t* data, std::size_t size, unsigned version,
                                std::size_t most_bytes) noexcept {
    const std::size_t header_bytes = version == kCostsVersion ? kCostsHeaderBytes : kHeaderBytes;
    if (size < 4 || std::memcmp(data, "EDGP", 4) != 0)
        return refused("is no .edgp file: it does not begin with EDGP");
    if (size < header_bytes + kCrcBytes)
        return refused("is truncated: %zu bytes, the header alone has %zu", size, header_bytes);
    const unsigned stated = data[4] | static_cast<unsigned>(data[5]) << 8;
    if (stated != version)
        return refused("has format version %u, this reader knows %u%s", stated, version,
                       stated == kCostsVersion ? ": it predicts networks (--network)" : "");
    EdgpSource source(data, size);
    source.bytes(8);
    const std::size_t file_bytes = source.u32();
    if (size > most_bytes || file_bytes > most_bytes)
        return refused("is oversized: %zu bytes, at most %zu",
                       size > file_bytes ? size : file_bytes, most_bytes);
    if (size != file_bytes)
        return refused("%s: %zu bytes, its header says %zu",
                       size < file_bytes ? "is truncated" : "has bytes after its end", size,
                       file_bytes);
    std::uint32_t stored = 0;
    for (std::size_t i = 0; i < kCrcBytes; ++i)
        stored |= static_cast<std::uint32_t>(data[size - kCrcBytes + i]) << (8 * i);
    if (crc32(data, size - kCrcBytes) != stored)
        return refused("is corrupted: its CRC does not match; copy it again");
    return {};
}

}  // namespace edgeprof
