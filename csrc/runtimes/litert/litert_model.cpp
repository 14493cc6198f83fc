#include "runtimes/litert/litert_model.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "runtimes/input_shapes.h"
#include "runtimes/input_values.h"
#include "runtimes/litert/litert_profile.h"
#include "runtimes/tflite_c/tflite_types.h"

namespace edgeprof {

namespace {

LiteRtOptions read_options(const json::Value& given) {
    LiteRtOptions options;
    const json::Object* object = given.as_object();
    if (object == nullptr) return options;
    for (const auto& [key, value] : *object) {
        const std::string* text = value.as_string();
        if (key == "signature" && text != nullptr) {
            options.signature = *text;
            continue;
        }
        if (key != "kernel_mode") {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option '" + key +
                            "' is unknown to litert; known: kernel_mode, signature (a text)");
        }
        if (text == nullptr || (*text != "xnnpack" && *text != "builtin" && *text != "reference")) {
            throw Error(ErrorKind::kInvalidJob,
                        "runtime option 'kernel_mode': expected xnnpack, builtin or reference");
        }
        options.kernel_mode = *text;
    }
    return options;
}

}  // namespace

LiteRtModel::LiteRtModel(std::shared_ptr<const LiteRtCore> core, const LoadSettings& settings,
                         bool is_profiled)
    : core_(std::move(core)),
      path_(settings.model_path),
      threads_(settings.threads),
      options_(read_options(settings.options)),
      is_profiled_(is_profiled),
      file_(read_model_file(path_).value_or(ModelFile{})),
      model_(nullptr, core_->api.destroy_model),
      compiled_(nullptr, core_->api.destroy_compiled_model) {
    load_model();
    choose_signature();
    compile();
    bind(settings);
}

std::string LiteRtModel::reason(litert::Status status) const {
    const std::string logged = errors_of_log(log_.read());
    return logged.empty() ? core_->text_of(status) : logged + " (" + core_->text_of(status) + ")";
}

bool LiteRtModel::invoke() noexcept {
    status_ = core_->api.run(compiled_.get(), signature_index_, raw_inputs_.size(),
                             raw_inputs_.data(), raw_outputs_.size(), raw_outputs_.data());
    return status_ == litert::kOk;
}

void LiteRtModel::load_model() {
    const litert::Api& api = core_->api;
    litert::ModelT* created = nullptr;
    litert::Status status;
    if (api.model_takes_environment) {
        using Create = litert::Status (*)(litert::EnvironmentT*, const char*, litert::ModelT**);
        status = reinterpret_cast<Create>(api.create_model_from_file)(core_->environment.get(),
                                                                      path_.c_str(), &created);
    } else {
        using Create = litert::Status (*)(const char*, litert::ModelT**);
        status = reinterpret_cast<Create>(api.create_model_from_file)(path_.c_str(), &created);
    }
    if (status == litert::kInvalidFlatbuffer || status == litert::kFileIo) {
        throw Error(ErrorKind::kInvalidModel, path_ + ": is no TFLite model, or a truncated one");
    }
    check(status, "cannot be read");
    model_.reset(created);
}

void LiteRtModel::choose_signature() {
    if (!options_.signature.empty()) {
        std::string known;
        const std::vector<FileSignature>& all = file_.signatures;
        for (const FileSignature& one : all) known += (known.empty() ? "" : ", ") + one.name;
        const auto found = std::find_if(all.begin(), all.end(), [&](const FileSignature& one) {
            return one.name == options_.signature;
        });
        if (found == all.end()) {
            throw Error(ErrorKind::kInvalidJob,
                        path_ + ": has no signature '" + options_.signature +
                            "'; its signatures: " + (known.empty() ? "none" : known));
        }
        signature_index_ = static_cast<std::size_t>(found - all.begin());
    }
    check(core_->api.get_signature(model_.get(), signature_index_, &signature_),
          "has no signature");
}

litert::OpaqueOptionsT* LiteRtModel::make_cpu_options() const {
    const litert::Api& api = core_->api;
    litert::OpaqueOptionsT* opaque = nullptr;
    if (api.set_cpu_threads != nullptr && api.create_cpu_options != nullptr) {
        if (options_.kernel_mode != "xnnpack") {
            throw Error(ErrorKind::kInvalidJob,
                        "kernel_mode '" + options_.kernel_mode + "' needs LiteRT 2.1.3 or newer");
        }
        litert::CpuOptionsT* cpu = nullptr;
        check(api.create_cpu_options(&opaque), "no CPU options");
        check(api.find_cpu_options(opaque, &cpu), "no CPU options");
        check(api.set_cpu_threads(cpu, threads_), "threads cannot be set");
        return opaque;
    }
    std::string toml = "num_threads = " + std::to_string(threads_) + "\n";
    if (options_.kernel_mode != "xnnpack") {
        toml = "kernel_mode = \"" + options_.kernel_mode + "\"\n" + toml;
    }
    return make_toml_options("xnnpack", toml);
}

litert::OpaqueOptionsT* LiteRtModel::make_toml_options(const char* identifier,
                                                       const std::string& toml) const {
    litert::OpaqueOptionsT* opaque = nullptr;
    char* payload = strdup(toml.c_str());  // LiteRT gives it back with free
    check(core_->api.create_opaque_options(identifier, payload, std::free, &opaque), "no options");
    return opaque;
}

void LiteRtModel::compile() {
    const litert::Api& api = core_->api;
    litert::OptionsT* created = nullptr;
    check(api.create_options(&created), "no options");
    const Owned<litert::OptionsT> options(created, api.destroy_options);
    check(api.set_accelerators(created, litert::kCpu), "the CPU cannot be chosen");
    check(api.add_opaque_options(created, make_cpu_options()), "threads cannot be set");
    if (is_profiled_) {
        check(api.add_opaque_options(created, make_toml_options("runtime_options_string",
                                                                "enable_profiling = true\n")),
              "the profiler cannot be switched on");
    }
    litert::CompiledModelT* compiled = nullptr;
    const litert::Status status =
        api.create_compiled_model(core_->environment.get(), model_.get(), created, &compiled);
    if (status != litert::kOk) {
        throw Error(ErrorKind::kUnsupportedModel,
                    path_ + ": LiteRT cannot prepare it, perhaps for an operator it lacks: " +
                        reason(status));
    }
    compiled_.reset(compiled);
}

litert::TensorType LiteRtModel::describe(std::size_t index, bool is_input,
                                         TensorFacts& facts) const {
    const litert::Api& api = core_->api;
    const char* name = nullptr;
    litert::TensorT* tensor = nullptr;
    check((is_input ? api.input_name : api.output_name)(signature_, index, &name), "no name");
    check((is_input ? api.input_tensor : api.output_tensor)(signature_, index, &tensor),
          "no tensor");
    litert::TensorType type{};
    check(api.tensor_type(tensor, &type), "a tensor has no fixed rank");
    facts.name = name;
    facts.type = tflite_type_name(type.element_type);
    facts.shape.assign(type.layout.dimensions, type.layout.dimensions + type.layout.rank());
    return type;
}

void LiteRtModel::check_size(const TensorFacts& facts) const {
    constexpr std::size_t kMostDimensions = std::size(decltype(litert::Layout::dimensions){});
    if (facts.shape.size() <= kMostDimensions && count_elements(facts.shape) > 0) return;
    throw Error(ErrorKind::kUnsupportedModel,
                path_ + ": input '" + facts.name +
                    "': LiteRT takes no dimensions of 0, and 8 of them at most");
}

void LiteRtModel::resize(std::size_t index, litert::TensorType& type, const TensorFacts& facts) {
    const std::size_t rank = type.layout.rank();
    type.layout.rank_and_flag =
        (type.layout.rank_and_flag & ~0x7fU) | static_cast<std::uint32_t>(facts.shape.size());
    for (std::size_t i = 0; i < facts.shape.size(); ++i) {
        type.layout.dimensions[i] = static_cast<std::int32_t>(facts.shape[i]);
    }
    // The strict function keeps the rank.
    const bool is_new_rank = facts.shape.size() != rank && core_->api.resize_freely != nullptr;
    const auto resize = is_new_rank ? core_->api.resize_freely : core_->api.resize_input;
    check(resize(compiled_.get(), signature_index_, index, type.layout.dimensions,
                 facts.shape.size()),
          "input '" + facts.name + "' does not take the given shape");
}

litert::BufferT* LiteRtModel::make_buffer(std::size_t index, bool is_input,
                                          const litert::TensorType& type) {
    const litert::Api& api = core_->api;
    litert::RequirementsT* requirements = nullptr;  // the compiled model's
    check((is_input ? api.input_requirements : api.output_requirements)(
              compiled_.get(), signature_index_, index, &requirements),
          "no buffer requirements");
    litert::BufferT* buffer = nullptr;
    check(api.create_buffer(core_->environment.get(), &type, requirements, &buffer), "no buffer");
    buffers_.emplace_back(buffer, api.destroy_buffer);
    return buffer;
}

std::vector<std::uint8_t> LiteRtModel::output_bytes(std::size_t index) const {
    const litert::Api& api = core_->api;
    std::size_t n_bytes = bytes_per_element(outputs_.at(index).type);
    for (const std::int64_t extent : outputs_[index].shape) {
        n_bytes *= static_cast<std::size_t>(extent);
    }
    std::size_t n_buffer_bytes = 0;  // rounded up for alignment
    void* data = nullptr;
    check(api.buffer_bytes(raw_outputs_.at(index), &n_buffer_bytes), "no buffer size");
    check(api.lock_buffer(raw_outputs_[index], &data, litert::kLockRead), "no data of an output");
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    std::vector<std::uint8_t> copy(bytes, bytes + std::min(n_bytes, n_buffer_bytes));
    check(api.unlock_buffer(raw_outputs_[index]), "no data of an output");
    return copy;
}

void LiteRtModel::fill(std::size_t index, const LoadSettings& settings) const {
    const litert::Api& api = core_->api;
    litert::BufferT* buffer = raw_inputs_[index];
    std::size_t n_bytes = 0;
    void* data = nullptr;
    check(api.buffer_bytes(buffer, &n_bytes), "no buffer size");
    check(api.lock_buffer(buffer, &data, litert::kLockWrite), "a buffer cannot be written");
    fill_input(data, n_bytes, inputs_[index], settings, index);
    check(api.unlock_buffer(buffer), "a buffer cannot be written");
}

std::vector<ModelInput> LiteRtModel::describe_inputs(std::vector<litert::TensorType>& types) const {
    std::size_t n_inputs = 0;
    check(core_->api.count_inputs(signature_, &n_inputs), "no inputs");
    const bool is_named = signature_index_ < file_.signatures.size();
    const std::vector<FileInput>& stated =
        is_named ? file_.signatures[signature_index_].inputs : file_.inputs;
    std::vector<ModelInput> inputs(n_inputs);
    for (std::size_t i = 0; i < n_inputs; ++i) {
        types.push_back(describe(i, true, inputs[i].facts));
        const auto found = std::find_if(stated.begin(), stated.end(), [&](const FileInput& input) {
            return input.name == inputs[i].facts.name;
        });
        inputs[i].has_rank = found == stated.end() || found->has_rank;
    }
    return inputs;
}

void LiteRtModel::bind(const LoadSettings& settings) {
    std::size_t n_outputs = 0;
    check(core_->api.count_outputs(signature_, &n_outputs), "no outputs");
    std::vector<litert::TensorType> types;
    const std::vector<ModelInput> stated = describe_inputs(types);
    inputs_ = fix_shapes(stated, settings);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        check_size(inputs_[i]);
        if (inputs_[i].shape == stated[i].facts.shape) continue;
        resize(i, types[i], inputs_[i]);
        is_resized_ = true;
    }
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        raw_inputs_.push_back(make_buffer(i, true, types[i]));
        fill(i, settings);
    }
    bind_outputs(n_outputs);
}

void LiteRtModel::bind_outputs(std::size_t n_outputs) {
    std::vector<litert::Layout> layouts(n_outputs);
    bool has_layouts = false;
    for (std::size_t i = 0; i < n_outputs; ++i) {
        TensorFacts facts;
        litert::TensorType type = describe(i, false, facts);
        if (is_resized_ || type.layout.is_dynamic()) {
            // Known only now that the inputs have their shapes.
            if (!has_layouts) {
                check(core_->api.output_layouts(compiled_.get(), signature_index_, n_outputs,
                                                layouts.data(), true),
                      "its outputs' shapes cannot be known before it runs");
                has_layouts = true;
            }
            type.layout = layouts[i];
            facts.shape.assign(type.layout.dimensions, type.layout.dimensions + type.layout.rank());
        }
        raw_outputs_.push_back(make_buffer(i, false, type));
        outputs_.push_back(std::move(facts));
    }
}

std::string LiteRtModel::options_json() const {
    json::Writer writer;
    writer.begin_object();
    bool is_full = false;
    if (core_->api.is_fully_accelerated != nullptr &&
        core_->api.is_fully_accelerated(compiled_.get(), &is_full) == litert::kOk) {
        writer.member("fully_delegated", is_full);  // false: XNNPACK left operators to others
    }
    writer.member("kernel_mode", options_.kernel_mode);
    write_entry_points(writer, file_, signature_index_);
    writer.end_object();
    return writer.text();
}

std::vector<OperatorTime> LiteRtModel::profile(std::size_t n_runs) {
    constexpr std::size_t kWarmups = 3;
    const litert::Api& api = core_->api;
    const auto need = [this](litert::Status status) {
        core_->check(status, ErrorKind::kUnsupportedModel, path_ + ": the profiler fails");
    };
    litert::ProfilerT* profiler = nullptr;
    need(api.get_profiler(compiled_.get(), &profiler));
    if (profiler == nullptr) {
        throw Error(ErrorKind::kUnsupportedModel, path_ + ": LiteRT gives no profiler for it");
    }
    for (std::size_t i = 0; i < kWarmups; ++i) invoke_or_throw();
    need(api.start_profiler(profiler));
    for (std::size_t i = 0; i < n_runs; ++i) invoke_or_throw();
    need(api.stop_profiler(profiler));
    int count = 0;
    need(api.count_events(profiler, &count));
    const auto n = static_cast<std::size_t>(std::max(count, 0));
    std::vector<LiteRtEvent> events = room_for_events(n);
    if (n > 0) need(api.get_events(profiler, count, events.data()));
    if (!are_events_whole(events, n)) {
        throw Error(ErrorKind::kUnsupportedModel,
                    core_->library.path() +
                        ": its profiler has another form than LiteRT 2.1.6 to 2.3.0 have");
    }
    events.resize(n);
    return mean_of_events(events, n_runs);
}

}  // namespace edgeprof
