#include "runtimes/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace edgeprof {

namespace {

struct TornFile {};  // ends before what it names

// The fields of a protobuf message, one after the other.
class Message {
  public:
    explicit Message(std::string_view bytes) : bytes_(bytes) {}

    // Goes to the next field; false at the end.
    bool next() {
        if (bytes_.empty()) return false;
        const std::uint64_t tag = varint();
        field_ = tag >> 3;
        value_ = {};
        number_ = 0;
        switch (tag & 7) {
            case 0:
                number_ = varint();
                return true;
            case 1:
                take(8);
                return true;
            case 2:
                value_ = take(varint());
                return true;
            case 5:
                take(4);
                return true;
            default:
                throw TornFile();
        }
    }
    std::uint64_t field() const { return field_; }
    std::string_view value() const { return value_; }  // of a message or text, else empty
    std::uint64_t number() const { return number_; }

  private:
    std::uint64_t varint() {
        std::uint64_t number = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<std::uint8_t>(take(1)[0]);
            number |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return number;
        }
        throw TornFile();
    }
    std::string_view take(std::uint64_t n) {
        if (n > bytes_.size()) throw TornFile();
        const std::string_view taken = bytes_.substr(0, n);
        bytes_.remove_prefix(n);
        return taken;
    }

    std::string_view bytes_;
    std::uint64_t field_ = 0, number_ = 0;
    std::string_view value_;
};

// Calls `visit` with each field of that number.
template <class Visit>
void for_each(std::string_view message, std::uint64_t field, Visit&& visit) {
    for (Message fields(message); fields.next();) {
        if (fields.field() == field) visit(fields);
    }
}

// Field numbers are those of onnx.proto.
FileInput read_onnx_input(std::string_view value_info) {
    FileInput input{"", false, {}};
    for_each(value_info, 1, [&](const Message& name) { input.name = name.value(); });
    for_each(value_info, 2, [&](const Message& type) {
        for_each(type.value(), 1, [&](const Message& tensor) {
            for_each(tensor.value(), 2, [&](const Message& shape) {
                input.has_rank = true;
                for_each(shape.value(), 1, [&](const Message& dimension) {
                    std::int64_t n = -1;
                    for_each(dimension.value(), 1, [&](const Message& size) {
                        n = static_cast<std::int64_t>(size.number());
                    });
                    input.shape.push_back(n);
                });
            });
        });
    });
    return input;
}

ModelFile read_onnx(std::string_view bytes) {
    ModelFile file{{}, {}, 0};
    for_each(bytes, 7, [&](const Message& graph) {
        for_each(graph.value(), 11, [&](const Message& input) {
            file.inputs.push_back(read_onnx_input(input.value()));
        });
    });
    return file;
}

// A table of a FlatBuffer. A field that is not there reads as 0 or empty.
class Table {
  public:
    Table(std::string_view bytes, std::size_t at) : bytes_(bytes), at_(at) {}
    static Table root(std::string_view bytes) { return {bytes, read<std::uint32_t>(bytes, 0)}; }

    template <class T>
    T number(std::size_t field) const {
        const std::size_t at = address(field);
        return at == 0 ? T{0} : read<T>(bytes_, at);
    }
    std::string text(std::size_t field) const {
        const std::size_t n = size(field);
        const std::size_t at = n == 0 ? 0 : target(address(field)) + 4;
        if (at + n > bytes_.size()) throw TornFile();
        return std::string(bytes_.substr(at, n));
    }
    std::vector<std::int32_t> integers(std::size_t field) const {
        std::vector<std::int32_t> all;
        for (std::size_t i = 0; i < size(field); ++i) {
            all.push_back(read<std::int32_t>(bytes_, target(address(field)) + 4 + 4 * i));
        }
        return all;
    }
    // Of a vector or a text; all that are read here have elements of at least a byte.
    std::size_t size(std::size_t field) const {
        const std::size_t at = address(field);
        const std::size_t n = at == 0 ? 0 : read<std::uint32_t>(bytes_, target(at));
        if (n > bytes_.size()) throw TornFile();
        return n;
    }
    Table item(std::size_t field, std::size_t index) const {
        if (index >= size(field)) throw TornFile();
        return {bytes_, target(target(address(field)) + 4 + 4 * index)};
    }

  private:
    template <class T>
    static T read(std::string_view bytes, std::size_t at) {
        if (at > bytes.size() || bytes.size() - at < sizeof(T)) throw TornFile();
        T value;
        std::memcpy(&value, bytes.data() + at, sizeof value);
        return value;
    }
    std::size_t target(std::size_t at) const { return at + read<std::uint32_t>(bytes_, at); }
    std::size_t address(std::size_t field) const {
        const auto back = read<std::int32_t>(bytes_, at_);
        const std::size_t entries = at_ - static_cast<std::size_t>(std::int64_t{back});
        const std::size_t entry = 4 + 2 * field;
        if (entry + 2 > read<std::uint16_t>(bytes_, entries)) return 0;
        const auto offset = read<std::uint16_t>(bytes_, entries + entry);
        return offset == 0 ? 0 : at_ + offset;
    }

    std::string_view bytes_;
    std::size_t at_;
};

// Field numbers are those of schema.fbs. Until 2021 files did not say whether a tensor without
// dimensions is a scalar: it counts as one of unknown rank.
FileInput read_tflite_input(const Table& subgraph, std::size_t tensor, std::string name) {
    const Table table = subgraph.item(0, tensor);
    const std::vector<std::int32_t> stored = table.integers(0), signature = table.integers(7);
    const std::vector<std::int32_t>& shape = signature.empty() ? stored : signature;
    const bool has_rank = table.number<std::uint8_t>(8) != 0 || !shape.empty();
    return {name.empty() ? table.text(3) : std::move(name), has_rank, {shape.begin(), shape.end()}};
}

ModelFile read_tflite(std::string_view bytes) {
    const Table model = Table::root(bytes);
    ModelFile file{{}, {}, model.size(2)};
    const Table first = model.item(2, 0);
    for (const std::int32_t tensor : first.integers(1)) {
        file.inputs.push_back(read_tflite_input(first, static_cast<std::size_t>(tensor), ""));
    }
    for (std::size_t i = 0; i < model.size(7); ++i) {
        const Table signature = model.item(7, i);
        FileSignature& read = file.signatures.emplace_back(
            FileSignature{signature.text(2), signature.number<std::uint32_t>(4), {}});
        const Table subgraph = model.item(2, read.subgraph);
        for (std::size_t k = 0; k < signature.size(0); ++k) {
            const Table input = signature.item(0, k);
            read.inputs.push_back(
                read_tflite_input(subgraph, input.number<std::uint32_t>(1), input.text(0)));
        }
    }
    return file;
}

// A file in memory, read page by page as it is looked at.
class Mapping {
  public:
    explicit Mapping(const std::string& path) {
        const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        struct stat facts = {};
        if (descriptor >= 0 && fstat(descriptor, &facts) == 0 && facts.st_size > 0) {
            size_ = static_cast<std::size_t>(facts.st_size);
            data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        }
        if (descriptor >= 0) close(descriptor);
    }
    ~Mapping() {
        if (data_ != MAP_FAILED) munmap(data_, size_);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    std::string_view bytes() const {
        return data_ == MAP_FAILED ? std::string_view()
                                   : std::string_view(static_cast<const char*>(data_), size_);
    }

  private:
    void* data_ = MAP_FAILED;
    std::size_t size_ = 0;
};

}  // namespace

const FileInput* ModelFile::find_input(const std::string& name) const {
    const auto found = std::find_if(inputs.begin(), inputs.end(),
                                    [&](const FileInput& input) { return input.name == name; });
    return found == inputs.end() ? nullptr : &*found;
}

void write_entry_points(json::Writer& writer, const ModelFile& file, std::size_t signature) {
    if (signature < file.signatures.size()) {
        writer.member("signature", file.signatures[signature].name);
    }
    if (file.signatures.size() > 1) {
        writer.key("signatures").begin_array();
        for (const FileSignature& one : file.signatures) writer.value(one.name);
        writer.end_array();
    }
    if (file.n_subgraphs > 1) writer.member("subgraphs", file.n_subgraphs);
}

std::optional<ModelFile> parse_model_file(std::string_view bytes) {
    try {
        if (bytes.size() >= 8 && bytes.substr(4, 4) == "TFL3") return read_tflite(bytes);
        ModelFile file = read_onnx(bytes);
        if (!file.inputs.empty()) return file;
    } catch (const TornFile&) {
        // Whatever it is.
    }
    return std::nullopt;
}

std::optional<ModelFile> read_model_file(const std::string& path) {
    return parse_model_file(Mapping(path).bytes());
}

}  // namespace edgeprof
