#include "timing/counters.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "timing/clock.h"
#include "timing/core_pmu.h"
#include "timing/counter_math.h"
#include "timing/refused_reads.h"
#include "timing/registers.h"

#ifdef __linux__
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace edgeprof {

const char* name_of(CounterAccess access) noexcept {
    return access == CounterAccess::kUserPage ? "user_page" : "read";
}

#ifdef __linux__

namespace {

struct Event {
    const char* name;
    std::uint64_t config;      // of PERF_TYPE_HARDWARE
    std::uint64_t arm_config;  // the same event by its number in the Arm ARM (PMUv3, D19.10)
};
constexpr std::array<Event, kMaxCounters> kEvents{{
    {"cpu_cycles", PERF_COUNT_HW_CPU_CYCLES, 0x11},
    {"instructions", PERF_COUNT_HW_INSTRUCTIONS, 0x08},
    {"cache_misses", PERF_COUNT_HW_CACHE_MISSES, 0x03},
    {"branch_misses", PERF_COUNT_HW_BRANCH_MISSES, 0x10},
}};

#ifdef __aarch64__
// armv8_pmuv3: bit 0 asks for a 64-bit counter, bit 1 for reads in user space.
constexpr std::array<std::uint64_t, 3> kConfig1{3, 1, 0};
#else
constexpr std::array<std::uint64_t, 1> kConfig1{0};
#endif

// pmu: of the cores in question; nullptr leaves it to the kernel.
int open_event(const Event& event, const CorePmu* pmu, int leader, bool sums_threads) {
    for (const std::uint64_t config1 : kConfig1) {
        // Inherited events cannot be read in user space: the kernel refuses to promise it.
        if (sums_threads && config1 != 0) continue;
        perf_event_attr attributes = {};
        attributes.type = pmu != nullptr ? pmu->type : std::uint32_t{PERF_TYPE_HARDWARE};
        attributes.size = sizeof attributes;
        attributes.config = pmu != nullptr ? event.arm_config : event.config;
        attributes.config1 = config1;
        attributes.exclude_kernel = 1;  // perf_event_paranoid 2 allows no more
        attributes.exclude_hv = 1;
        attributes.inherit = sums_threads ? 1 : 0;
        attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
        const long fd = syscall(SYS_perf_event_open, &attributes, 0, -1, leader,
                                static_cast<unsigned long>(PERF_FLAG_FD_CLOEXEC));
        if (fd >= 0) return static_cast<int>(fd);
    }
    return -1;
}

std::string reason_of(int error_number) {
    switch (error_number) {
        case EACCES:
        case EPERM:
            return "not permitted; lower kernel.perf_event_paranoid to 2";
        case ENOENT:
        case EOPNOTSUPP:
            return "this processor, or virtual machine, has no such counter";
        case ENOSYS:
            return "the kernel has no perf_event_open";
        case EINVAL:
            return "does not fit beside the other counters";
        default:
            return std::strerror(error_number);
    }
}

// Value, time enabled, time running: what read() gives with our read_format.
struct ReadResult {
    std::uint64_t value;
    std::uint64_t enabled_ns;
    std::uint64_t running_ns;
};

CounterReading read_event(int fd) noexcept {
    ReadResult result = {};
    if (::read(fd, &result, sizeof result) != static_cast<ssize_t>(sizeof result)) return {};
    return {true, result.value, result.enabled_ns - result.running_ns, result.enabled_ns};
}

struct Counter {
    const char* name;
    int fd;
    volatile perf_event_mmap_page* page;  // nullptr: not readable in user space
    std::uint64_t empty;
};

// The self-monitoring protocol of perf_event_open(2): `lock` is a sequence counter that changes
// when the kernel moves the event. Both sides run on one core, so that compiler barriers do.
// Returns false when the event is not on a counter now (index 0), or the kernel has just forbidden
// the read. Kernels with kernel.perf_user_access=0 still claim cap_user_rdpmc, with index 0 for
// ever: a reader that took that for a count would return 0 for ever.
bool read_user_page(volatile perf_event_mmap_page* page, CounterReading& reading) noexcept {
#ifdef EDGEPROF_HAS_USER_COUNTERS
    std::uint32_t sequence;
    do {
        sequence = page->lock;
        asm volatile("" ::: "memory");
        const std::uint32_t index = page->index;
        if (index == 0 || !page->cap_user_rdpmc) return false;
        std::uint64_t count = 0;
        if (!registers::read_performance_counter(index - 1, count)) return false;
        reading.count = static_cast<std::uint64_t>(page->offset) +
                        static_cast<std::uint64_t>(sign_extend(count, page->pmc_width));
        // Both go on alike while it is on the processor: their difference is what it was at the
        // kernel's last update.
        reading.missed_ns = page->time_enabled - page->time_running;
        asm volatile("" ::: "memory");
    } while (page->lock != sequence);
    reading.is_told = true;
    reading.enabled_ns = 0;
    return true;
#else
    static_cast<void>(page);
    static_cast<void>(reading);
    return false;
#endif
}

CounterReading read_counter(const Counter& counter) noexcept {
    CounterReading reading;
    if (counter.page != nullptr && read_user_page(counter.page, reading)) return reading;
    return read_event(counter.fd);
}

volatile perf_event_mmap_page* map_page(int fd) {
    const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* page = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? nullptr : static_cast<volatile perf_event_mmap_page*>(page);
}

void unmap_page(volatile perf_event_mmap_page* page) {
    munmap(const_cast<perf_event_mmap_page*>(page),
           static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}

}  // namespace

struct CounterGroup::Impl {
    bool sums_threads;
    std::vector<Counter> counters;
    std::vector<AbsentCounter> absent;
    double read_cost_ns = 0.0;

    void open(const Event& event, const CorePmu* pmu);
    void drop_standing_still();
    void calibrate(CounterGroup& group);
};

void CounterGroup::Impl::open(const Event& event, const CorePmu* pmu) {
    // One group: all count over the same time or none does. Inherited events are read one by one,
    // since the kernel refuses group reads of them.
    const int leader = counters.empty() || sums_threads ? -1 : counters.front().fd;
    const int fd = open_event(event, pmu, leader, sums_threads);
    if (fd < 0) {
        absent.push_back({event.name, reason_of(errno)});
        return;
    }
    Counter counter{event.name, fd, sums_threads ? nullptr : map_page(fd), 0};
    CounterReading ignored;
    survive_refused_reads();
    if (counter.page != nullptr && !read_user_page(counter.page, ignored)) {
        unmap_page(counter.page);
        counter.page = nullptr;
    }
    counters.push_back(counter);
}

// A hypervisor may offer a counter that never counts; so may one that belongs to another cluster.
// Misses may really be 0 over the loop: they stand or fall with the counters beside them.
void CounterGroup::Impl::drop_standing_still() {
    constexpr std::uint64_t kIterations = 20'000;
    std::vector<CounterReading> before;
    for (const Counter& counter : counters) before.push_back(read_counter(counter));
    registers::counted_loop(kIterations);
    bool is_any_alive = false;
    std::vector<bool> is_alive;
    for (std::size_t i = 0; i < counters.size(); ++i) {
        is_alive.push_back(read_counter(counters[i]).count > before[i].count);
        is_any_alive = is_any_alive || is_alive.back();
    }
    std::vector<Counter> kept;
    for (std::size_t i = 0; i < counters.size(); ++i) {
        const bool may_stand = std::strstr(counters[i].name, "misses") != nullptr && is_any_alive;
        if (is_alive[i] || may_stand) {
            kept.push_back(counters[i]);
            continue;
        }
        absent.push_back({counters[i].name, "opened, but does not advance"});
        if (counters[i].page != nullptr) unmap_page(counters[i].page);
        close(counters[i].fd);
    }
    counters = std::move(kept);
}

// What an empty interval counts, and what reading costs.
void CounterGroup::Impl::calibrate(CounterGroup& group) {
    constexpr std::size_t kRepeats = 101;
    std::array<CounterValues, kRepeats> empties;
    const std::int64_t start_ns = monotonic_raw_ns();
    for (CounterValues& interval : empties) {
        CounterReadings begin, end;
        group.read(begin);
        group.read(end);
        for (std::size_t i = 0; i < counters.size(); ++i) {
            interval[i] = end[i].count - begin[i].count;
        }
    }
    read_cost_ns = static_cast<double>(monotonic_raw_ns() - start_ns) / (2.0 * kRepeats);
    for (std::size_t i = 0; i < counters.size(); ++i) {
        std::nth_element(
            empties.begin(), empties.begin() + kRepeats / 2, empties.end(),
            [i](const CounterValues& a, const CounterValues& b) { return a[i] < b[i]; });
        counters[i].empty = empties[kRepeats / 2][i];
    }
}

CounterGroup::CounterGroup(bool sums_threads, const std::vector<int>& cpus, const std::string& root)
    : impl_(std::make_unique<Impl>()) {
    impl_->sums_threads = sums_threads;
    const std::vector<CorePmu> pmus = find_core_pmus(root);
    const PmuChoice choice = choose_pmu(pmus, cpus);
    if (!choice.absence.empty()) {
        for (const Event& event : kEvents) impl_->absent.push_back({event.name, choice.absence});
        return;
    }
    // They are born on, so that what stands still is seen, and readable in user space.
    for (const Event& event : kEvents) impl_->open(event, choice.pmu);
    impl_->drop_standing_still();
    if (size() > 0) impl_->calibrate(*this);
    switch_off();
}

CounterGroup::~CounterGroup() {
    if (!impl_) return;
    for (const Counter& counter : impl_->counters) {
        if (counter.page != nullptr) unmap_page(counter.page);
        close(counter.fd);
    }
}

// One by one: the first of the group may have been dropped, which leaves the others on their own.
// The first last, so that a group comes onto the processor at once. What threads inherited follows.
void CounterGroup::switch_on() noexcept {
    for (auto counter = impl_->counters.rbegin(); counter != impl_->counters.rend(); ++counter) {
        ioctl(counter->fd, PERF_EVENT_IOC_ENABLE, 0);
    }
}

void CounterGroup::switch_off() noexcept {
    for (const Counter& counter : impl_->counters) ioctl(counter.fd, PERF_EVENT_IOC_DISABLE, 0);
}

void CounterGroup::read(CounterReadings& readings) noexcept {
    for (std::size_t i = 0; i < impl_->counters.size(); ++i) {
        readings[i] = read_counter(impl_->counters[i]);
    }
}

void CounterGroup::count(const CounterReadings& begin, const CounterReadings& end,
                         double elapsed_ns, CounterValues& counts) const noexcept {
    for (std::size_t i = 0; i < impl_->counters.size(); ++i) {
        counts[i] = count_between(begin[i], end[i], impl_->counters[i].empty, elapsed_ns);
    }
}

std::vector<CounterFacts> CounterGroup::facts() const {
    std::vector<CounterFacts> facts;
    for (const Counter& counter : impl_->counters) {
        const CounterReading now = read_event(counter.fd);
        const double share = now.enabled_ns == 0 ? 0.0
                                                 : 1.0 - static_cast<double>(now.missed_ns) /
                                                             static_cast<double>(now.enabled_ns);
        facts.push_back({counter.name,
                         counter.page != nullptr ? CounterAccess::kUserPage : CounterAccess::kRead,
                         impl_->sums_threads, counter.empty, share});
    }
    return facts;
}

#else

struct CounterGroup::Impl {
    std::vector<int> counters;
    std::vector<AbsentCounter> absent{{"cpu_cycles", "read on Linux only"}};
    double read_cost_ns = 0.0;
};

CounterGroup::CounterGroup(bool, const std::vector<int>&, const std::string&)
    : impl_(std::make_unique<Impl>()) {}
CounterGroup::~CounterGroup() = default;
void CounterGroup::switch_on() noexcept {}
void CounterGroup::switch_off() noexcept {}
void CounterGroup::read(CounterReadings&) noexcept {}
void CounterGroup::count(const CounterReadings&, const CounterReadings&, double,
                         CounterValues&) const noexcept {}
std::vector<CounterFacts> CounterGroup::facts() const { return {}; }

#endif

CounterGroup::CounterGroup(CounterGroup&&) noexcept = default;
std::size_t CounterGroup::size() const noexcept { return impl_->counters.size(); }
const std::vector<AbsentCounter>& CounterGroup::absent() const noexcept { return impl_->absent; }
double CounterGroup::read_cost_ns() const noexcept { return impl_->read_cost_ns; }

}  // namespace edgeprof
