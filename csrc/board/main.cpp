// edgeprof-harness: the board program. Jobs in, records out, one JSON object per line each way.
//
//     edgeprof-harness run [--jobs FILE|-] [--out FILE|-]
//         Reads job lines (default: standard input) and writes one record line per job, in order
//         (default: standard output; a FILE is appended to and synchronised after each record).
//         Each job runs in a child process of its own: an illegal instruction, a crash, a lack of
//         memory or a hang of a runtime becomes an error record that names the library and the
//         signal, and the next job runs. Exit status 0 when every line got its record, be it a
//         failure; 1 when jobs cannot be read or records not written.
//     edgeprof-harness predict P.edgp
//         Reads codes of subnets from standard input, one JSON array of integers a line, and prints
//         {"latency_ms": ...} for each (`edgeprof predict --codes` writes such lines).
//     edgeprof-harness predict P.edgp --network LAYERS.json
//         The same for one network, by layer costs (`edgeprof ship --network` writes both files).
//     edgeprof-harness state [--root DIR]
//         Prints the state of the machine as one JSON object.
//     edgeprof-harness campaign DIR
//         Works a batch folder off in the foreground, without the locks of the worker: see
//         campaign.h and batch.h.
//     edgeprof-harness worker ...
//     edgeprof-harness wait ...
//         A queue of batches on the board: see worker.h.
//     edgeprof-harness counters [--loop N]
//         Prints what each counter reads around a loop of N iterations (see counters_report.h).
//     edgeprof-harness --version
//
// A job line holds these fields; all but `model` (and `library`, unless the runtime is "null") may
// be left out. Defaults and ranges stand in job.cpp; unknown fields are refused.
//
//     job_id           string   comes back in the record; default: the model's path
//     model            string   path of the model file
//     runtime          string   onnxruntime | litert | tflite_c | null; from Python tflite_runtime
//     library          string   path of the runtime's shared library
//     runtime_options  object   the runtime's own options
//     threads          integer  of the runtime
//     cpus             [int]    cores to run on; empty: the scheduler's choice
//     seed             integer  of the inputs' values
//     shapes           object   input name -> [integers], for dynamic dimensions
//     inputs           object   input name, or type for all of it -> values (given_values_json.h)
//     clock            string   auto | clock_monotonic_raw | x86_tsc | arm_generic_timer
//     ci_rel           number   stop when half the interval is within this share of the median
//     min_secs, max_secs, min_samples, max_samples    bounds of the timed inferences
//     outputs_file     string   file for the outputs of the last inference: raw, one after another
//     max_load_secs    number   bound of opening the runtime, of loading the model, and of its
//                               first inference and warm-up
//     max_drift        number   refuse when the machine changed by more than this share meanwhile
//     counters         string   auto | off: cycles, instructions and misses beside the clock
//     per_op_runs      integer  inferences profiled by operator, after the timing; 0: none
//     timestamps       bool     the record tells when each inference began
//     references       bool     two reference models of our own take turns with the model, and
//                               their latencies stand in the record
//     progress_file    string   file that tells how the measurement goes (progress_file.h)
//
// Instead of `model` and what belongs to it, a line may hold `interleave`: a list of two or more
// such objects (without job_id, clock, max_load_secs, max_drift, references and progress_file,
// which belong to the line).
// They are measured interleaved in one process, and the record has their records in `group`. One
// of them may have `reference`: true: its drift is then taken for the machine's.
//
// While jobs run, nothing is printed, polled or written by this program: it sleeps until the child
// is done or its time is over. Only where a job names a progress file does its child write there,
// between two rounds. A record is the one described in record.h.
//
// `run` and `campaign` end when standard output is a pipe that nobody reads any more: whoever
// started them has died. A worker goes on.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/version.h"
#include "board/batch.h"
#include "board/isolation.h"
#include "board/job.h"
#include "board/predict_command.h"
#include "board/reader.h"
#include "board/worker.h"
#include "machine/machine_state.h"
#include "record/record.h"
#include "timing/counters_report.h"
#include "timing/interrupt.h"

namespace edgeprof {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

int usage(const std::string& complaint) {
    std::cerr
        << "edgeprof-harness: " << complaint
        << "\nusage: edgeprof-harness run [--jobs FILE|-] [--out FILE|-]\n"
           "       edgeprof-harness predict P.edgp [--network LAYERS.json]\n"
           "       edgeprof-harness state [--root DIR]\n"
           "       edgeprof-harness counters [--loop N]\n"
           "       edgeprof-harness campaign DIR\n"
           "       edgeprof-harness worker --folder DIR --lock FILE --owner NAME --session ID "
           "[--detach]\n"
           "       edgeprof-harness wait --folder DIR [--session ID] [--stop]\n"
           "       edgeprof-harness hold --folder DIR --lock FILE --owner NAME --session ID "
           "-- COMMAND...\n"
           "       edgeprof-harness --version\n";
    return kWrongUsage;
}

// The values of `--name VALUE` pairs; nothing for an unknown name or a missing value.
class Options {
  public:
    Options(const std::vector<std::string>& arguments, const std::vector<std::string>& known) {
        for (std::size_t i = 0; i < arguments.size(); i += 2) {
            bool is_known = false;
            for (const std::string& name : known) is_known = is_known || name == arguments[i];
            if (!is_known) complaint_ = "unknown option " + arguments[i];
            if (is_known && i + 1 >= arguments.size()) complaint_ = arguments[i] + " needs a value";
            if (!complaint_.empty()) return;
            values_.emplace_back(arguments[i], arguments[i + 1]);
        }
    }
    const std::string& complaint() const { return complaint_; }
    std::string get(const std::string& name, const std::string& otherwise) const {
        std::string value = otherwise;
        for (const auto& [key, given] : values_) {
            if (key == name) value = given;
        }
        return value;
    }

  private:
    std::vector<std::pair<std::string, std::string>> values_;
    std::string complaint_;
};

// Where records go. Each line is written whole and, to a file, made durable before the next job:
// a power cut costs the job under way and nothing else.
class RecordSink {
  public:
    explicit RecordSink(const std::string& path)
        : path_(path),
          descriptor_(path == "-"
                          ? STDOUT_FILENO
                          : open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {}
    ~RecordSink() {
        if (descriptor_ > STDERR_FILENO) close(descriptor_);
    }
    RecordSink(const RecordSink&) = delete;
    RecordSink& operator=(const RecordSink&) = delete;

    bool is_open() const { return descriptor_ >= 0; }
    bool is_standard_output() const { return descriptor_ == STDOUT_FILENO; }
    bool write_line(std::string line) {
        line.push_back('\n');
        for (std::size_t written = 0; written < line.size();) {
            const ssize_t n = write(descriptor_, line.data() + written, line.size() - written);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            written += static_cast<std::size_t>(n);
        }
        return path_ == "-" || fsync(descriptor_) == 0;
    }
    std::string complaint() const {
        return path_ + ": records cannot be written: " + std::strerror(errno);
    }

  private:
    std::string path_;
    int descriptor_;
};

std::string record_of_line(const std::string& line, int reader) {
    Job job;
    try {
        job = parse_job(line);
    } catch (const Error& error) {
        return failure_record(job.job_id, job.model_paths(), error, {{"job_line", one_line(line)}});
    }
    return run_isolated(job, reader);
}

// Of a worker: whoever fetches the records comes back for them.
std::string record_for_nobody(const std::string& line) { return record_of_line(line, kNoReader); }

int run_command(const Options& options) {
    const std::string jobs_path = options.get("--jobs", "-");
    std::ifstream file;
    if (jobs_path != "-") {
        file.open(jobs_path);
        if (!file) {
            std::cerr << "edgeprof-harness: " << jobs_path
                      << ": jobs cannot be read: " << std::strerror(errno) << "\n";
            return kFailed;
        }
    }
    std::istream& jobs = jobs_path == "-" ? std::cin : file;
    RecordSink sink(options.get("--out", "-"));
    if (!sink.is_open()) {
        std::cerr << "edgeprof-harness: " << sink.complaint() << "\n";
        return kFailed;
    }
    note_interrupts();
    const int reader = sink.is_standard_output() ? reader_of(STDOUT_FILENO) : kNoReader;
    std::string line;
    while (!is_interrupted() && std::getline(jobs, line)) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        if (!sink.write_line(record_of_line(line, reader))) {
            std::cerr << "edgeprof-harness: " << sink.complaint() << "\n";
            return kFailed;
        }
    }
    return kDone;
}

int state_command(const Options& options) {
    std::cout << machine_state_json(options.get("--root", "/")) << "\n";
    return std::cout.flush() ? kDone : kFailed;
}

int counters_command(const Options& options) {
    constexpr std::uint64_t kMost = 1'000'000'000;
    const std::string text = options.get("--loop", "1000000");
    char* end = nullptr;
    const unsigned long long n = std::strtoull(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || n > kMost) {
        return usage("--loop " + text + ": expected an integer up to 1000000000");
    }
    std::cout << counters_report(n) << "\n";
    return std::cout.flush() ? kDone : kFailed;
}

int predict_command(const std::string& predictor_path, const Options& options) {
    if (!options.complaint().empty()) return usage(options.complaint());
    const std::string network_path = options.get("--network", "");
    std::string complaint;
    if (network_path.empty() ? predict_lines(predictor_path, std::cin, std::cout, complaint)
                             : predict_network(predictor_path, network_path, std::cout, complaint))
        return kDone;
    std::cerr << "edgeprof-harness: " << complaint << "\n";
    return kFailed;
}

int campaign_command(const std::string& folder) {
    try {
        const int reader = reader_of(STDOUT_FILENO);
        const auto run_job = [&](const std::string& line) { return record_of_line(line, reader); };
        work_off(folder, run_job, reader);
        return kDone;
    } catch (const std::exception& error) {
        std::cerr << "edgeprof-harness: " << error.what() << "\n";
        return kFailed;
    }
}

int main_command(const std::vector<std::string>& arguments) {
    if (arguments.empty()) return usage("a command is missing");
    const std::string& command = arguments[0];
    const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
    if (command == "--version") {
        std::cout << "edgeprof-harness " << version() << "\n";
        return kDone;
    }
    if (command == "--help" || command == "-h") {
        usage("measures models that are given as JSON lines");
        return kDone;
    }
    if (command == "run") {
        const Options options(rest, {"--jobs", "--out"});
        return options.complaint().empty() ? run_command(options) : usage(options.complaint());
    }
    if (command == "predict") {
        if (rest.empty()) return usage("predict wants one file");
        return predict_command(rest[0], Options({rest.begin() + 1, rest.end()}, {"--network"}));
    }
    if (command == "state") {
        const Options options(rest, {"--root"});
        return options.complaint().empty() ? state_command(options) : usage(options.complaint());
    }
    if (command == "campaign") {
        return rest.size() == 1 ? campaign_command(rest[0]) : usage("campaign wants one folder");
    }
    if (command == "worker") return worker_main(rest, record_for_nobody);
    if (command == "wait") return wait_main(rest);
    if (command == "hold") return hold_main(rest);
    if (command == "counters") {
        const Options options(rest, {"--loop"});
        return options.complaint().empty() ? counters_command(options) : usage(options.complaint());
    }
    return usage("unknown command " + command);
}

}  // namespace
}  // namespace edgeprof

int main(int argc, char** argv) {
    // A reader that went away must be an error of write(), not a silent death.
    signal(SIGPIPE, SIG_IGN);
    return edgeprof::main_command(std::vector<std::string>(argv + 1, argv + argc));
}
