#include "predictor/layer_costs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "predictor/edgp_bytes.h"

namespace edgeprof {
namespace {

constexpr unsigned kQuantitiesVersion = 1;
constexpr double kMaxExponent = 20;
constexpr double kPositionWeight = 0.3;  // of the mean position of a network's layers
constexpr double kLeastLength = 1e-3;
constexpr std::array<double, LayerNumbers::kSizes> kPositionFactors{1, 1, 1, 1, 1.5, 1};
constexpr std::size_t kQuantities = LayerNumbers::kQuantities;
constexpr std::size_t kSizes = LayerNumbers::kSizes;
constexpr std::size_t kMaxPlace = LayerCosts::kMaxBases + 1 + kSizes;

std::string_view view_of(const std::uint8_t* text, std::size_t size) noexcept {
    return {reinterpret_cast<const char*>(text), size};
}

// exp(x), where x is no more than any efficiency can differ.
double held_exp(double x) noexcept { return std::exp(std::clamp(x, -kMaxExponent, kMaxExponent)); }

double dot(const float* unit, const std::array<double, kQuantities>& quantities) noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < kQuantities; ++i)
        sum += quantities[i] * static_cast<double>(unit[i]);
    return sum;
}

bool is_number(double value, double least) noexcept {
    return value >= least && value <= LayerCosts::kMaxNumber;  // NaN is neither
}

bool are_numbers(const LayerNumbers& layer) noexcept {
    bool good = is_number(layer.count, 0) && layer.count > 0;
    for (const double quantity : layer.quantities) good = good && is_number(quantity, 0);
    for (const double size : layer.sizes) good = good && is_number(size, 0);
    return good;
}

}  // namespace

const std::array<const char*, LayerNumbers::kQuantities> LayerNumbers::kQuantityNames{
    "macs", "operations", "read", "written", "patches", "weights", "layers", "groups"};
const std::array<const char*, LayerNumbers::kSizes> LayerNumbers::kSizeNames{
    "rows", "sums", "columns", "products", "kernel", "stride"};

struct LayerCosts::Sums {
    double cost = 0;
    double rough = 0;
    std::array<double, kMaxPlace> place{};  // shares by column and of the rest, positions
};

PredictorOutcome LayerCosts::load(const std::uint8_t* data, std::size_t size) noexcept {
    PredictorOutcome outcome = read(data, size);
    if (!outcome.ok()) *this = LayerCosts();
    return outcome;
}

PredictorOutcome LayerCosts::read(const std::uint8_t* data, std::size_t size) noexcept {
    PredictorOutcome outcome = check_envelope(data, size, kCostsVersion, kMaxFileBytes);
    if (!outcome.ok()) return outcome;
    file_bytes_ = size - kCrcBytes;
    file_.reset(new (std::nothrow) std::uint8_t[file_bytes_]);
    if (file_ == nullptr) return refused("no memory for its tables");
    std::memcpy(file_.get(), data, file_bytes_);
    EdgpSource source(file_.get(), file_bytes_);
    outcome = read_header(source);
    if (outcome.ok()) outcome = read_names(source);
    if (outcome.ok()) outcome = read_numbers(source);
    if (outcome.ok()) outcome = read_values(source);
    return outcome;
}

// Reads the header and the texts; the space and the provenance are passed over: they are for hosts.
PredictorOutcome LayerCosts::read_header(EdgpSource& source) noexcept {
    source.bytes(6);
    const unsigned value_bytes = source.u16();
    source.bytes(4);
    n_kinds_ = source.u16();
    n_bases_ = source.u16();
    n_columns_ = source.u16();
    for (Function* function : functions()) function->n = source.u16();
    const std::size_t space_bytes = source.u16();
    const std::size_t device_bytes = source.u16();
    const std::size_t provenance_bytes = source.u16();
    const unsigned quantities_version = source.u16();
    for (Function* function : functions()) {
        function->length = static_cast<double>(source.f32());
        function->width = function == &alike_ ? n_columns_ + 1 + kSizes : kSizes;
        if (!(function->length >= kLeastLength && function->length <= double{kMaxValue}))
            return refused("has a length of a smooth function that is out of range");
    }
    if (value_bytes != 4 || quantities_version != kQuantitiesVersion)
        return refused("has quantities version %u in %u bytes, want %u in 4: ship it anew",
                       quantities_version, value_bytes, kQuantitiesVersion);
    if (n_bases_ < 1 || n_bases_ > kMaxBases || n_columns_ > n_bases_)
        return refused("has %zu bases of kinds and %zu columns, want 1 to %zu", n_bases_,
                       n_columns_, kMaxBases);
    source.bytes(space_bytes);
    const std::uint8_t* device = source.bytes(device_bytes);
    if (device == nullptr || source.bytes(provenance_bytes) == nullptr)
        return refused("is truncated: its texts end beyond the file");
    if (!is_clean_text(device, device_bytes))
        return refused("holds control characters in its text");
    device_ = view_of(device, device_bytes);
    return {};
}

PredictorOutcome LayerCosts::read_names(EdgpSource& source) noexcept {
    names_.reset(new (std::nothrow) std::string_view[n_kinds()]);
    base_.reset(new (std::nothrow) std::uint16_t[n_kinds()]());
    if (names_ == nullptr || base_ == nullptr) return refused("no memory for its names");
    for (std::size_t number = 0; number < n_kinds(); ++number) {
        const std::size_t size = source.u8();
        const std::uint8_t* text = source.bytes(size);
        if (text == nullptr || !is_clean_text(text, size))
            return refused("holds a name of a kind that is cut short or has control characters");
        names_[number] = view_of(text, size);
    }
    for (std::size_t number = 0; number < n_kinds(); ++number) {
        const std::size_t base = base_number(names_[number]);
        if (base == kNoKind || (number >= n_kinds_ && number != n_kinds_ + base))
            return refused("has a kind without a base, or a base twice");
        base_[number] = static_cast<std::uint16_t>(base);
    }
    source.bytes((4 - source.position() % 4) % 4);
    return {};
}

PredictorOutcome LayerCosts::read_numbers(EdgpSource& source) noexcept {
    column_of_base_.fill(static_cast<std::uint16_t>(n_columns_));
    for (std::size_t column = 0, last = 0; column < n_columns_; ++column) {
        const std::size_t base = source.u16();
        if (base >= n_bases_ || (column > 0 && base <= last))
            return refused("has columns of bases out of order, or of none");
        column_of_base_[base] = static_cast<std::uint16_t>(column);
        last = base;
    }
    const std::size_t per_function = n_kinds_ + 1;
    first_point_.reset(new (std::nothrow) std::uint16_t[stretches_.size() * per_function]());
    if (first_point_ == nullptr) return refused("no memory for its points");
    for (std::size_t f = 0; f < stretches_.size(); ++f) {
        std::uint16_t* first = &first_point_[f * per_function];
        std::size_t kind = 0;  // the first kind whose first point is not known yet, less one
        for (std::size_t point = 0; point < stretches_[f].n; ++point) {
            const std::size_t of = source.u16();
            if (of >= n_kinds_ || of < kind)
                return refused("has points out of order, or of no kind");
            while (kind < of) first[++kind] = static_cast<std::uint16_t>(point);
        }
        while (kind < n_kinds_) first[++kind] = static_cast<std::uint16_t>(stretches_[f].n);
    }
    source.bytes((4 - source.position() % 4) % 4);
    return {};
}

PredictorOutcome LayerCosts::read_values(EdgpSource& source) noexcept {
    const std::size_t n_costs = (n_kinds() + n_bases_) * kQuantities;
    n_values_ = n_costs;
    for (Function* function : functions()) n_values_ += function->n * (function->width + 1);
    if (n_values_ * sizeof(float) != source.left())
        return refused("has %zu bytes of tables, needs %zu", source.left(),
                       n_values_ * sizeof(float));
    values_.reset(new (std::nothrow) float[n_values_]);
    if (values_ == nullptr) return refused("no memory for its tables");
    if (!source.values(values_.get(), n_values_))
        return refused("holds a value that is no number up to %g", static_cast<double>(kMaxValue));
    const std::size_t first_rough = n_kinds() * kQuantities;
    for (std::size_t i = 0; i < n_costs; ++i) {
        if (values_[i] < 0 || (i >= first_rough && values_[i] <= 0))
            return refused("has a cost that is negative, or an expected one that is none");
    }
    const float* next = &values_[0] + n_costs;
    for (Function* function : functions()) {
        function->position = next;
        function->coefficient = next + function->n * function->width;
        next = function->coefficient + function->n;
    }
    return {};
}

// The base is what stands before the operator (":"), the element type (".") and the marks.
std::size_t LayerCosts::base_number(std::string_view kind) const noexcept {
    const std::string_view base = kind.substr(0, kind.find_first_of(":.+?"));
    for (std::size_t number = 0; number < n_bases_; ++number) {
        if (names_[n_kinds_ + number] == base) return number;
    }
    return kNoKind;
}

std::size_t LayerCosts::find_kind(std::string_view name) const noexcept {
    for (std::size_t number = 0; number < n_kinds_; ++number) {
        if (names_[number] == name) return number;
    }
    const std::size_t base = base_number(name);
    return base == kNoKind ? kNoKind : n_kinds_ + base;
}

std::size_t LayerCosts::memory_bytes() const noexcept {
    return sizeof *this + file_bytes_ + n_kinds() * (sizeof names_[0] + sizeof base_[0]) +
           stretches_.size() * (n_kinds_ + 1) * sizeof first_point_[0] + n_values_ * sizeof(float);
}

double LayerCosts::Function::term(std::size_t point, const double* at) const noexcept {
    const float* own = position + point * width;
    double square = 0;
    for (std::size_t i = 0; i < width; ++i) {
        const double apart = at[i] - static_cast<double>(own[i]);
        square += apart * apart;
    }
    return static_cast<double>(coefficient[point]) * std::exp(-0.5 * square / (length * length));
}

// Adds a layer to the sums of its network; false where a number is out of range.
bool LayerCosts::add(const LayerNumbers& layer, Sums& sums) const noexcept {
    if (layer.kind >= n_kinds() || !are_numbers(layer)) return false;
    std::array<double, kSizes> position{};
    for (std::size_t i = 0; i < kSizes; ++i)
        position[i] = kPositionFactors[i] * std::log(std::max(layer.sizes[i], 1.0));
    double stretch = 0;
    for (std::size_t f = 0; f < stretches_.size() && layer.kind < n_kinds_; ++f) {
        const std::uint16_t* first = &first_point_[f * (n_kinds_ + 1) + layer.kind];
        for (std::size_t point = first[0]; point < first[1]; ++point)
            stretch += stretches_[f].term(point, position.data());
    }
    const std::size_t base = base_[layer.kind];
    const float* unit = &values_[layer.kind * kQuantities];
    const float* rough = &values_[(n_kinds() + base) * kQuantities];
    const double expected = layer.count * dot(rough, layer.quantities);
    if (!(expected > 0)) return false;  // a layer without any work
    sums.cost += layer.count * held_exp(stretch) * dot(unit, layer.quantities);
    sums.rough += expected;
    sums.place[column_of_base_[base]] += expected;
    for (std::size_t i = 0; i < kSizes; ++i)
        sums.place[n_columns_ + 1 + i] += expected * position[i];
    return true;
}

std::size_t LayerCosts::predict_ms(const LayerNumbers* layers, std::size_t n,
                                   double* latency_ms) const noexcept {
    Sums sums;
    for (std::size_t i = 0; i < n; ++i) {
        if (!add(layers[i], sums)) return i;
    }
    for (std::size_t i = 0; i < alike_.width && n > 0; ++i) {
        const double mean = sums.place[i] / sums.rough;
        sums.place[i] = i <= n_columns_ ? std::sqrt(mean) : kPositionWeight * mean;
    }
    double factor = 0;
    for (std::size_t point = 0; point < alike_.n; ++point)
        factor += alike_.term(point, sums.place.data());
    *latency_ms = sums.cost * held_exp(factor);
    return n;
}

}  // namespace edgeprof
