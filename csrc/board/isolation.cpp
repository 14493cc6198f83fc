#include "board/isolation.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/error.h"
#include "base/sha256.h"
#include "board/child_failure.h"
#include "board/reader.h"
#include "record/model_weights.h"
#include "record/record.h"
#include "timing/clock.h"
#include "timing/interrupt.h"

namespace edgeprof {

namespace {

// What the child tells through the pipe: a tag, then text, then the line end.
constexpr char kPhaseTag = 'P';   // P<phase><runtime>\t<its version, maybe empty>\t<library>
constexpr char kWarmTag = 'W';    // W<ns that an inference of a warm model takes>
constexpr char kRecordTag = 'R';  // R<record>

// The measurement ends by itself at max_secs, or when it has the fewest samples; a child that has
// not by then is stuck. Generous, since on a starved machine even ending takes its time.
constexpr double kGrace_secs = 5.0;
constexpr double kGrace_inferences = 3.0;  // of each model, beyond the fewest

void write_line(int descriptor, char tag, const std::string& text) {
    const std::string line = tag + text + "\n";
    for (std::size_t written = 0; written < line.size();) {
        const ssize_t n = write(descriptor, line.data() + written, line.size() - written);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(EXIT_FAILURE);  // the parent is gone
        written += static_cast<std::size_t>(n);
    }
}

// The child: whatever a runtime prints goes to `output`, never between the records.
[[noreturn]] void be_child(const Job& job, int pipe_end, int output) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    restart_after_interrupts();  // a runtime need not know of signals
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    JobListener listener;
    listener.on_phase = [pipe_end](Phase phase, const RuntimeFacts& runtime) {
        write_line(pipe_end, kPhaseTag,
                   std::to_string(static_cast<int>(phase)) + runtime.name + "\t" + runtime.version +
                       "\t" + runtime.library_path);
    };
    listener.on_warm = [pipe_end](std::int64_t latency_ns) {
        write_line(pipe_end, kWarmTag, std::to_string(latency_ns));
    };
    const std::string record = run_job(job, listener);
    write_line(pipe_end, kRecordTag, record);
    _exit(EXIT_SUCCESS);  // no destructors: a runtime's may hang, and the record is out
}

// What the parent knows of a child.
struct Watch {
    Phase phase = Phase::kOpening;
    RuntimeFacts runtime;     // of the model at hand
    std::size_t n_warm = 0;   // models
    double round_secs = 0.0;  // one inference of each of them
    std::string record;
    bool is_timed_out = false;
    bool is_wanted = true;  // somebody reads the record
};

void take_line(Watch& watch, const std::string& line) {
    if (line.empty()) return;
    if (line[0] == kRecordTag) {
        watch.record = line.substr(1);
    } else if (line[0] == kWarmTag) {
        ++watch.n_warm;
        watch.round_secs += std::strtod(line.c_str() + 1, nullptr) / 1e9;
    } else if (line[0] == kPhaseTag && line.size() >= 3) {
        watch.phase = static_cast<Phase>(line[1] - '0');
        const std::size_t first = line.find('\t');
        const std::size_t second = line.find('\t', first + 1);
        watch.runtime = {line.substr(2, first - 2), line.substr(first + 1, second - first - 1),
                         line.substr(second + 1)};
    }
}

// Sleeps until the child has closed the pipe or is out of time, or the reader has gone.
Watch watch_child(const Job& job, int pipe_end, int reader) {
    Watch watch;
    std::string pending;
    std::int64_t phase_start_ns = monotonic_raw_ns();
    for (;;) {
        const double elapsed_secs = secs_since(phase_start_ns);
        const double left_secs =
            limit_secs(job, watch.phase, watch.n_warm, watch.round_secs) - elapsed_secs;
        if (left_secs <= 0.0) {
            watch.is_timed_out = true;
            return watch;
        }
        pollfd entries[] = {{pipe_end, POLLIN, 0}, reader_entry(reader)};
        // A limit of weeks is more milliseconds than an int holds.
        const int wait_ms = static_cast<int>(std::min(left_secs, 3600.0) * 1e3) + 1;
        const int n_ready = poll(entries, 2, wait_ms);
        if (n_ready <= 0) continue;  // out of time, or a signal: the loop looks at the clock
        if (is_gone(entries[1])) {
            watch.is_wanted = false;
            return watch;
        }
        char buffer[1 << 16];
        const ssize_t n = read(pipe_end, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return watch;
        pending.append(buffer, static_cast<std::size_t>(n));
        for (std::size_t end; (end = pending.find('\n')) != std::string::npos;) {
            take_line(watch, pending.substr(0, end));
            pending.erase(0, end + 1);
            phase_start_ns = monotonic_raw_ns();
        }
    }
}

}  // namespace

double limit_secs(const Job& job, Phase phase, std::size_t n_warm, double round_secs) {
    if (phase == Phase::kMeasuring && n_warm == job.subjobs.size()) {
        const double n_last = static_cast<double>(fewest_samples(0.0)) + kGrace_inferences;
        return job.max_secs() + kGrace_secs + n_last * round_secs;
    }
    if (phase == Phase::kMeasuring) return job.max_load_secs + kGrace_secs;
    if (phase != Phase::kProfiling) return job.max_load_secs;
    std::size_t n_runs = 0;
    for (const Subjob& subjob : job.subjobs) n_runs = std::max(n_runs, subjob.per_op_runs);
    return job.max_load_secs + static_cast<double>(n_runs) * kGrace_inferences * round_secs;
}

// Hashes that serve many jobs, in the process that forks: what children work out is lost with them.
void remember_hashes(const Job& job) {
    for (const Subjob& subjob : job.subjobs) {
        remembered_sha256(subjob.library);
        external_weights(subjob.load.model_path);
    }
}

std::string run_isolated(const Job& job, int reader) {
    int ends[2];
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(std::tmpfile(), std::fclose);
    if (!output || pipe(ends) != 0) {
        return failure_record(job.job_id, job.model_paths(),
                              Error(ErrorKind::kHarnessCrashed,
                                    std::string("no pipe or temporary file: ") + strerror(errno)),
                              {});
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    remember_hashes(job);
    const pid_t child = fork();
    if (child < 0) {
        close(ends[0]);
        close(ends[1]);
        return failure_record(
            job.job_id, job.model_paths(),
            Error(ErrorKind::kHarnessCrashed, std::string("no process: ") + strerror(errno)), {});
    }
    if (child == 0) be_child(job, ends[1], fileno(output.get()));
    close(ends[1]);
    const Watch watch = watch_child(job, ends[0], reader);
    close(ends[0]);
    if (watch.is_timed_out || !watch.is_wanted) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!watch.record.empty()) return watch.record;
    const ChildFacts facts{watch.phase, watch.runtime, tail_of(output.get())};
    if (!watch.is_timed_out) {
        return crash_record(job.job_id, job.model_paths(), facts, status);
    }
    const bool is_sampling = watch.phase == Phase::kMeasuring && watch.n_warm == job.subjobs.size();
    return timeout_record(job.job_id, job.model_paths(), facts,
                          limit_secs(job, watch.phase, watch.n_warm, watch.round_secs),
                          is_sampling ? "--max-secs" : "--max-load-secs");
}

}  // namespace edgeprof
