#include "board/campaign_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/error.h"
#include "base/text_files.h"
#include "board/child_failure.h"
#include "board/reader.h"
#include "record/record.h"
#include "timing/clock.h"

namespace edgeprof {

namespace {

constexpr int kCannotWrite = 74;         // exit status of a process
constexpr double kStarting_secs = 60.0;  // until a process says what it does
constexpr std::int64_t kLook_ms = 1000;  // a process may shorten its own limit meanwhile

using Shared = std::unique_ptr<SharedProgress, void (*)(SharedProgress*)>;

Shared share_progress() {
    void* memory = mmap(nullptr, sizeof(SharedProgress), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail_io("no memory to share with a child process");
    return {new (memory) SharedProgress,
            [](SharedProgress* progress) { munmap(progress, sizeof *progress); }};
}

[[noreturn]] void be_child(const ProcessTask& task, SharedProgress& progress, int output) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    try {
        run_process(task, progress);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::fflush(stderr);
        _exit(kCannotWrite);
    }
    _exit(EXIT_SUCCESS);  // no destructors: a runtime's may hang
}

// Sleeps until the child is gone, which closes its end of the pipe; true when it had to be killed.
bool wait_or_kill(pid_t child, int pipe_end, const SharedProgress& progress, int reader) {
    for (;;) {
        const std::int64_t left_ns = progress.until_ns - monotonic_raw_ns();
        if (left_ns <= 0) break;
        pollfd entries[] = {{pipe_end, POLLIN, 0}, reader_entry(reader)};
        const auto wait_ms = std::min<std::int64_t>(left_ns / 1'000'000 + 1, kLook_ms);
        if (poll(entries, 2, static_cast<int>(wait_ms)) <= 0) continue;
        if (entries[0].revents != 0) return false;
        if (is_gone(entries[1])) {
            kill(child, SIGKILL);
            throw Error(ErrorKind::kOutputError, "nobody reads what a campaign would tell");
        }
    }
    kill(child, SIGKILL);
    return true;
}

}  // namespace

ProcessEnd run_child(const ProcessTask& task, int reader) {
    const Shared progress = share_progress();
    progress->until_ns = monotonic_raw_ns() + static_cast<std::int64_t>(kStarting_secs * 1e9);
    progress->limit_secs = kStarting_secs;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(std::tmpfile(), std::fclose);
    int ends[2];
    if (!output || pipe(ends) != 0) fail_io("no pipe or temporary file");
    for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
    const pid_t child = fork();
    if (child < 0) fail_io("no process");
    if (child == 0) {
        close(ends[0]);
        be_child(task, *progress, fileno(output.get()));
    }
    close(ends[1]);
    const bool is_hung = wait_or_kill(child, ends[0], *progress, reader);
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotWrite) {
        throw Error(ErrorKind::kOutputError, one_line(tail_of(output.get())));
    }
    ProcessEnd end{!is_hung && WIFEXITED(status) && WEXITSTATUS(status) == 0, {}, ""};
    if (end.is_done || progress->item < 0) return end;
    end.culprit = static_cast<std::size_t>(progress->item.load());
    const CampaignItem& item = task.items[*end.culprit];
    const Subjob& subjob = item.job.subjobs.front();
    const ChildFacts facts{static_cast<Phase>(progress->phase.load()),
                           {subjob.runtime, progress->runtime_version, subjob.library},
                           tail_of(output.get())};
    end.record = is_hung ? timeout_record(item.job_id, item.job.model_paths(), facts,
                                          progress->limit_secs, "--max-load-secs")
                         : crash_record(item.job_id, item.job.model_paths(), facts, status);
    return end;
}

}  // namespace edgeprof
