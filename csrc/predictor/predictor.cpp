#include "predictor/predictor.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

namespace edgeprof {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kCrcBytes = 4;
constexpr unsigned kVersion = 1;
constexpr float kMaxValue = 65504.0F;  // of a tensor; no sum of such values overflows
constexpr float kMaxUnitMs = 1e9F;
constexpr std::size_t kMaxTableBytes = 60 * 1024;

__attribute__((format(printf, 1, 2))) PredictorOutcome refuse(const char* format, ...) noexcept {
    PredictorOutcome outcome;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(outcome.message, sizeof outcome.message, format, arguments);
    va_end(arguments);
    return outcome;
}

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

float softsign(float x) noexcept { return x / (1.0F + std::fabs(x)); }

bool is_clean_text(const std::uint8_t* text, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size; ++i) {
        if (text[i] < 0x20 || text[i] == 0x7f) return false;
    }
    return true;
}

}  // namespace

// Reads little-endian fields one after the other; nothing is read beyond the end.
class CompactPredictor::Source {
  public:
    Source(const std::uint8_t* data, std::size_t size) noexcept : data_(data), size_(size) {}

    std::size_t left() const noexcept { return size_ - at_; }
    std::size_t position() const noexcept { return at_; }
    void set_value_bytes(std::size_t bytes) noexcept { value_bytes_ = bytes; }

    std::uint32_t u8() noexcept { return little_endian(1); }
    std::uint32_t u16() noexcept { return little_endian(2); }
    std::uint32_t u32() noexcept { return little_endian(4); }
    float f32() noexcept { return float_of_bits(u32()); }

    // One tensor value, or NaN where it is none or too large.
    float value() noexcept {
        const float read = value_bytes_ == 2 ? float_of_half(u16()) : f32();
        return std::fabs(read) <= kMaxValue ? read : NAN;
    }
    // n tensor values; false where one is no number.
    bool values(float* out, std::size_t n) noexcept {
        bool good = true;
        for (std::size_t i = 0; i < n; ++i) {
            out[i] = value();
            good = good && !std::isnan(out[i]);
        }
        return good;
    }
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

// What the header says before the columns.
struct CompactPredictor::Header {
    std::size_t value_bytes;
    std::size_t n_additive;
    std::size_t n_hidden;
    std::size_t n_inner;
    bool reserved;
    std::size_t space_bytes;
    std::size_t device_bytes;
    std::size_t provenance_bytes;
};

namespace {

// Checks what can be checked before any field is believed.
PredictorOutcome check_envelope(const std::uint8_t* data, std::size_t size, unsigned version,
                                std::size_t file_bytes) noexcept {
    constexpr std::size_t kMost = CompactPredictor::kMaxFileBytes;
    if (version != kVersion)
        return refuse("has format version %u, this reader knows %u", version, kVersion);
    if (size > kMost || file_bytes > kMost)
        return refuse("is oversized: %zu bytes, at most %zu", size > file_bytes ? size : file_bytes,
                      kMost);
    if (size != file_bytes)
        return refuse("%s: %zu bytes, its header says %zu",
                      size < file_bytes ? "is truncated" : "has bytes after its end", size,
                      file_bytes);
    std::uint32_t stored = 0;
    for (std::size_t i = 0; i < kCrcBytes; ++i)
        stored |= static_cast<std::uint32_t>(data[size - kCrcBytes + i]) << (8 * i);
    if (crc32(data, size - kCrcBytes) != stored)
        return refuse("is corrupted: its CRC does not match; copy it again");
    return {};
}

}  // namespace

PredictorOutcome CompactPredictor::load(const std::uint8_t* data, std::size_t size) noexcept {
    PredictorOutcome outcome = read(data, size);
    if (!outcome.ok()) *this = CompactPredictor();
    return outcome;
}

PredictorOutcome CompactPredictor::read(const std::uint8_t* data, std::size_t size) noexcept {
    if (size < 4 || std::memcmp(data, "EDGP", 4) != 0)
        return refuse("is no .edgp file: it does not begin with EDGP");
    if (size < kHeaderBytes + kCrcBytes)
        return refuse("is truncated: %zu bytes, the header alone has %zu", size, kHeaderBytes);
    Source source(data, size - kCrcBytes);
    source.bytes(4);
    const unsigned version = source.u16();
    Header header{};
    header.value_bytes = source.u16();
    const std::size_t file_bytes = source.u32();
    PredictorOutcome outcome = check_envelope(data, size, version, file_bytes);
    if (outcome.ok()) outcome = read_header(source, header);
    if (outcome.ok()) outcome = read_columns(source);
    if (outcome.ok()) outcome = read_texts(source, header);
    if (outcome.ok()) outcome = read_tensors(source, header);
    return outcome;
}

PredictorOutcome CompactPredictor::read_header(Source& source, Header& header) noexcept {
    n_columns_ = source.u16();
    header.n_additive = source.u8();
    header.n_hidden = source.u8();
    header.n_inner = source.u8();
    header.reserved = source.u8() != 0;
    header.space_bytes = source.u16();
    header.device_bytes = source.u16();
    header.provenance_bytes = source.u16();
    unit_ms_ = source.f32();
    offset_ms_ = source.f32();
    if (header.value_bytes != 2 && header.value_bytes != 4)
        return refuse("has %zu bytes per value, want 2 or 4", header.value_bytes);
    if (n_columns_ < 2 || n_columns_ > kMaxColumns)
        return refuse("has %zu code columns, want 2 to %zu", n_columns_, kMaxColumns);
    if (header.n_additive < 1 || header.n_additive + header.n_hidden > kMaxWidth ||
        header.n_inner > kMaxInner)
        return refuse(
            "has %zu additive terms, %zu hidden inputs and %zu inner units, "
            "want 1 or more, at most %zu together, and at most %zu",
            header.n_additive, header.n_hidden, header.n_inner, kMaxWidth, kMaxInner);
    if (header.reserved || header.space_bytes < 1 || header.space_bytes > kMaxIdBytes ||
        header.device_bytes < 1 || header.device_bytes > kMaxIdBytes)
        return refuse("has a malformed header; ids need 1 to %zu bytes", kMaxIdBytes);
    if (!(unit_ms_ > 0 && unit_ms_ <= kMaxUnitMs && std::fabs(offset_ms_) <= kMaxUnitMs))
        return refuse("unit %g ms and offset %g ms are out of range", static_cast<double>(unit_ms_),
                      static_cast<double>(offset_ms_));
    return {};
}

PredictorOutcome CompactPredictor::read_columns(Source& source) noexcept {
    n_rows_ = 0;
    for (std::size_t column = 0; column < n_columns_; ++column) {
        const std::uint32_t values = source.u16();
        if (values < 1 || values > 256)
            return refuse("has %u values in code column %zu, want 1 to 256", values, column);
        cardinalities_[column] = static_cast<std::uint16_t>(values);
        first_row_[column] = static_cast<std::uint16_t>(n_rows_);
        if (column + 1 < n_columns_) n_rows_ += values;
    }
    n_resolutions_ = cardinalities_[n_columns_ - 1];
    const std::size_t table_bytes = n_rows_ * sizeof(Row) + n_resolutions_ * sizeof(Resolution);
    if (table_bytes > kMaxTableBytes)
        return refuse("needs %zu bytes for its tables, at most %zu", table_bytes, kMaxTableBytes);
    return {};
}

// The provenance is passed over: it is for hosts.
PredictorOutcome CompactPredictor::read_texts(Source& source, const Header& header) noexcept {
    const std::uint8_t* space = source.bytes(header.space_bytes);
    const std::uint8_t* device = source.bytes(header.device_bytes);
    const std::uint8_t* provenance = source.bytes(header.provenance_bytes);
    if (space == nullptr || device == nullptr || provenance == nullptr)
        return refuse("is truncated: its texts end beyond the file");
    if (!is_clean_text(space, header.space_bytes) || !is_clean_text(device, header.device_bytes))
        return refuse("holds control characters in its text");
    space_.fill('\0');
    device_.fill('\0');
    std::memcpy(space_.data(), space, header.space_bytes);
    std::memcpy(device_.data(), device, header.device_bytes);
    source.bytes((4 - source.position() % 4) % 4);
    return {};
}

PredictorOutcome CompactPredictor::read_tensors(Source& source, const Header& header) noexcept {
    const std::size_t n_hidden = header.n_hidden;
    const std::size_t width = header.n_additive + n_hidden;
    const std::size_t n_choices = n_rows_ - (n_columns_ - 1);
    const std::size_t n_values = n_choices * width + n_resolutions_ * (width + 1 + n_hidden) +
                                 n_hidden * header.n_inner + 2 * header.n_inner + n_hidden;
    if (n_values * header.value_bytes != source.left())
        return refuse("has %zu bytes of tensors, needs %zu", source.left(),
                      n_values * header.value_bytes);
    rows_.reset(new (std::nothrow) Row[n_rows_]());
    resolutions_.reset(new (std::nothrow) Resolution[n_resolutions_]());
    if (rows_ == nullptr || resolutions_ == nullptr)
        return refuse("needs memory for its tables, which is not to be had");
    source.set_value_bytes(header.value_bytes);
    if (!fill_tables(source, header.n_additive, n_hidden, header.n_inner))
        return refuse("holds a value that is no number up to %g", static_cast<double>(kMaxValue));
    return {};
}

bool CompactPredictor::fill_tables(Source& source, std::size_t n_additive, std::size_t n_hidden,
                                   std::size_t n_inner) noexcept {
    const std::size_t width = n_additive + n_hidden;
    bool good = true;
    for (std::size_t slot = 0; slot + 1 < n_columns_; ++slot) {
        for (std::size_t choice = 1; choice < cardinalities_[slot]; ++choice)
            good &= source.values(rows_[first_row_[slot] + choice].value, width);
    }
    for (std::size_t r = 0; r < n_resolutions_; ++r)
        good &= source.values(resolutions_[r].scale.value, width);
    for (std::size_t r = 0; r < n_resolutions_; ++r) {
        // The constant goes to the first additive term, whose other lanes have none.
        good &= source.values(resolutions_[r].shift.value, 1);
        good &= source.values(resolutions_[r].shift.value + n_additive, n_hidden);
    }
    net_ = Net{};
    for (std::size_t k = 0; k < n_additive; ++k) net_.additive.value[k] = 1;
    for (std::size_t k = 0; k < n_hidden; ++k)
        good &= source.values(net_.weights[n_additive + k].value, n_inner);
    good &= source.values(net_.bias.value, n_inner);
    good &= source.values(net_.out.value, n_inner);
    good &= source.values(net_.hidden_out.value + n_additive, n_hidden);
    return good;
}

std::size_t CompactPredictor::memory_bytes() const noexcept {
    return sizeof *this + n_rows_ * sizeof(Row) + n_resolutions_ * sizeof(Resolution);
}

// The loops have constant lengths and no branch, so that the compiler keeps them in vector
// registers. Lanes beyond the model's width hold zeros and add zeros.
float CompactPredictor::predict_one(const std::uint8_t* codes) const noexcept {
    Row y{};
    const std::size_t n_slots = n_columns_ - 1;
    for (std::size_t slot = 0; slot < n_slots; ++slot) {
        const Row& row = rows_[first_row_[slot] + codes[slot]];
        for (std::size_t k = 0; k < kMaxWidth; ++k) y.value[k] += row.value[k];
    }
    const Resolution& resolution = resolutions_[codes[n_slots]];
    Row a;
    float total = 0;
    for (std::size_t k = 0; k < kMaxWidth; ++k) {
        y.value[k] = y.value[k] * resolution.scale.value[k] + resolution.shift.value[k];
        a.value[k] = softsign(y.value[k]);
        total += net_.additive.value[k] * y.value[k] + net_.hidden_out.value[k] * a.value[k];
    }
    InnerRow u = net_.bias;
    for (std::size_t k = 0; k < kMaxWidth; ++k) {
        for (std::size_t m = 0; m < kMaxInner; ++m)
            u.value[m] += a.value[k] * net_.weights[k].value[m];
    }
    for (std::size_t m = 0; m < kMaxInner; ++m) total += net_.out.value[m] * softsign(u.value[m]);
    return offset_ms_ + unit_ms_ * total;
}

bool CompactPredictor::predict_ms(const std::uint8_t* codes, std::size_t n, double* latency_ms,
                                  BadCode* bad) const noexcept {
    for (std::size_t row = 0; row < n; ++row, codes += n_columns_) {
        unsigned outside = 0;
        for (std::size_t column = 0; column < n_columns_; ++column)
            outside |= static_cast<unsigned>(codes[column] >= cardinalities_[column]);
        if (outside != 0) {
            bad->row = row;
            bad->column = 0;
            while (codes[bad->column] < cardinalities_[bad->column]) ++bad->column;
            return false;
        }
        latency_ms[row] = static_cast<double>(predict_one(codes));
    }
    return true;
}

}  // namespace edgeprof
