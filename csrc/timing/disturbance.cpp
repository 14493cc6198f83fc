#include "timing/disturbance.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#ifdef __linux__
#include <sched.h>
#endif

namespace edgeprof {

namespace {

constexpr std::int64_t kMaterialShare = 500;  // one part in so many

// Second number of a schedstat file: nanoseconds runnable but waiting (kernel documentation,
// scheduler/sched-stats). -1 where the kernel was built without it.
std::int64_t read_run_delay_ns(const char* path) noexcept {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    char text[96];
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return -1;
    text[n] = '\0';
    char* end = nullptr;
    std::strtoll(text, &end, 10);
    return end == text ? -1 : std::strtoll(end, nullptr, 10);
}

std::int64_t read_waited_ns(bool of_all_threads, int ignored_thread) noexcept {
    return of_all_threads ? sum_waited_ns("/proc/self/task", ignored_thread)
                          : read_run_delay_ns("/proc/thread-self/schedstat");
}

}  // namespace

std::int64_t sum_waited_ns(const char* task_folder, int ignored_thread) noexcept {
    DIR* tasks = opendir(task_folder);
    if (tasks == nullptr) return -1;
    std::int64_t sum_ns = -1;  // not told, until a thread tells
    while (const dirent* task = readdir(tasks)) {
        if (task->d_name[0] == '.' || std::atoi(task->d_name) == ignored_thread) continue;
        char path[512];
        std::snprintf(path, sizeof path, "%.400s/%.20s/schedstat", task_folder, task->d_name);
        const std::int64_t delay_ns = read_run_delay_ns(path);
        if (delay_ns >= 0) sum_ns = std::max<std::int64_t>(sum_ns, 0) + delay_ns;
    }
    closedir(tasks);
    return sum_ns;
}

Evidence EvidenceReader::read() noexcept {
    rusage usage = {};
#ifdef RUSAGE_THREAD
    getrusage(of_all_threads_ ? RUSAGE_SELF : RUSAGE_THREAD, &usage);
#else
    getrusage(RUSAGE_SELF, &usage);
#endif
    int cpu = 0;
#ifdef __linux__
    cpu = sched_getcpu();
#endif
    if (is_first_ || usage.ru_nivcsw != last_switches_) {
        is_first_ = false;
        last_switches_ = usage.ru_nivcsw;
        last_waited_ns_ = read_waited_ns(of_all_threads_, ignored_thread_);
    }
    return {usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt, last_waited_ns_, cpu};
}

std::uint16_t disturbance_between(const Evidence& before, const Evidence& after,
                                  std::int64_t elapsed_ns) noexcept {
    unsigned mask = 0;
    if (after.involuntary_switches != before.involuntary_switches) {
        const bool is_told = before.waited_ns >= 0 && after.waited_ns >= 0;
        if (!is_told || waited_between(before, after) > elapsed_ns / kMaterialShare)
            mask |= kPreempted;
    }
    if (after.cpu != before.cpu) mask |= kMigrated;
    return static_cast<std::uint16_t>(mask);
}

}  // namespace edgeprof
