#include "board/worker.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/text_files.h"
#include "board/batch.h"
#include "board/lock_file.h"

namespace edgeprof {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string folder;
    std::string lock;
    std::string owner;
    std::string session;
    bool detach = false;
    bool stop = false;
    std::vector<std::string> command;  // what stands behind "--"
};

// Returns nothing if an option is unknown or lacks its value.
std::optional<Options> parse_options(const std::vector<std::string>& arguments) {
    Options options;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& name = arguments[i];
        if (name == "--") {
            options.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                   arguments.end());
            break;
        }
        if (name == "--detach") {
            options.detach = true;
        } else if (name == "--stop") {
            options.stop = true;
        } else {
            std::string* value = name == "--folder"    ? &options.folder
                                 : name == "--lock"    ? &options.lock
                                 : name == "--owner"   ? &options.owner
                                 : name == "--session" ? &options.session
                                                       : nullptr;
            if (value == nullptr || ++i == arguments.size()) return std::nullopt;
            *value = arguments[i];
        }
    }
    return options;
}

std::string holder_json(const Options& options) {
    json::Writer writer;
    writer.begin_object()
        .member("owner", options.owner)
        .member("session", options.session)
        .member("pid", getpid())
        // For people to read only: the clock may jump.
        .member("since_unix_s", static_cast<std::int64_t>(time(nullptr)))
        .end_object();
    return writer.text() + "\n";
}

std::vector<std::string> batches_of(const Options& options) {
    std::vector<std::string> found;
    std::error_code no_queue;
    for (const auto& entry : fs::directory_iterator(options.folder + "/queue", no_queue)) {
        const std::string name = entry.path().filename().string();
        if (name.compare(0, options.session.size(), options.session) == 0) {
            found.push_back(entry.path().string());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

void work_off_all(const Options& options, const JobRunner& run_job) {
    std::set<std::string> seen;
    for (bool more = true; more;) {
        more = false;
        for (const std::string& batch : batches_of(options)) {
            if (!seen.insert(batch).second) continue;
            work_off(batch, run_job);
            more = true;
        }
    }
}

// Takes both locks, reports how that went, and works. `report` gets one line of JSON.
int run_worker(const Options& options, const JobRunner& run_job,
               const std::function<void(const std::string&)>& report) {
    const LockFile own(options.folder + "/worker.lock");
    if (!own.try_exclusive()) {
        const bool ours = json::string_member(own.holder(), "session") == options.session;
        report(own.holder());
        return ours ? kWorkerDone : kWorkerBusy;
    }
    const LockFile machine(options.lock);
    if (!machine.try_exclusive()) {
        report(machine.holder());
        return kWorkerBusy;
    }
    own.write_holder(holder_json(options));
    machine.write_holder(holder_json(options));
    report(holder_json(options));
    work_off_all(options, run_job);
    return kWorkerDone;
}

int logged(const std::function<int()>& work) {
    try {
        return work();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "edgeprof-harness worker: %s\n", error.what());
        return kWorkerIoError;
    }
}

void print_line(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

// A log that was in the folder before us is somebody else's: the manifest
// (edgeprof/boards/folder.py) lists what is ours.
bool is_own_log(const std::string& folder) {
    const std::string manifest = "\n" + read_text(folder + "/.edgeprof-manifest");
    return manifest.size() == 1 || manifest.find("\nworker.log\n") != std::string::npos;
}

void become_background(const std::string& folder) {
    setsid();
    signal(SIGHUP, SIG_IGN);
    const int null = open("/dev/null", O_RDWR);
    const std::string path = folder + "/worker.log";
    const int log =
        is_own_log(folder) ? open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log < 0 ? null : log, STDERR_FILENO);
    if (null > STDERR_FILENO) close(null);
    if (log > STDERR_FILENO) close(log);
}

// The parent waits for the child's report, says it and ends; the child goes on in a session of its
// own. A child that dies before its report leaves its words in the log.
int detach_worker(const Options& options, const JobRunner& run_job) {
    int ends[2];
    if (pipe(ends) != 0) fail_io("pipe");
    const pid_t child = fork();
    if (child < 0) fail_io("fork");
    if (child == 0) {
        close(ends[0]);
        become_background(options.folder);
        int reporting = ends[1];
        const auto report = [&reporting](const std::string& line) {
            write_all(reporting, line);
            close(reporting);
        };
        // The exit status tells the parent only of a worker that never started: see below.
        const int status = logged([&] { return run_worker(options, run_job, report); });
        _exit(status);
    }
    close(ends[1]);
    std::string line;
    char buffer[512];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) != 0;) {
        if (n < 0 && errno != EINTR) break;
        if (n > 0) line.append(buffer, static_cast<size_t>(n));
    }
    close(ends[0]);
    print_line(line);
    if (line.empty()) {
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);  // as a shell tells it
        if (is_own_log(options.folder)) {
            std::fputs(read_text(options.folder + "/worker.log").c_str(), stderr);
        }
        return kWorkerIoError;
    }
    return json::string_member(line, "session") == options.session ? kWorkerDone : kWorkerBusy;
}

// Ends the worker that the lock file names, if it is one. Its child dies with it.
void stop_holder(const LockFile& lock) {
    std::int64_t pid = 0;
    try {
        const json::Value tree = json::parse(lock.holder());
        const json::Value* member = tree.find("pid");
        if (member != nullptr && member->as_int() != nullptr) pid = *member->as_int();
    } catch (const json::ParseError&) {  // torn or foreign: it says nothing
    }
    if (pid > 1 && lock.is_open_in(pid)) kill(static_cast<pid_t>(pid), SIGTERM);
}

// Runs a program and returns its status, as a shell tells it.
int run_program(const std::vector<std::string>& command) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const pid_t child = fork();
    if (child < 0) fail_io("fork");
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);  // ignored by us, and a program inherits that
        execvp(words[0], words.data());
        std::fprintf(stderr, "%s: %s\n", words[0], std::strerror(errno));
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int usage(const char* text) {
    std::fprintf(stderr, "usage: edgeprof-harness %s\n", text);
    return kWorkerUsage;
}

}  // namespace

int worker_main(const std::vector<std::string>& arguments, const JobRunner& run_job) {
    const std::optional<Options> options = parse_options(arguments);
    if (!options || options->folder.empty() || options->lock.empty() || options->session.empty()) {
        return usage("worker --folder DIR --lock FILE --owner NAME --session ID [--detach]");
    }
    return logged([&] {
        return options->detach ? detach_worker(*options, run_job)
                               : run_worker(*options, run_job, print_line);
    });
}

int wait_main(const std::vector<std::string>& arguments) {
    const std::optional<Options> options = parse_options(arguments);
    if (!options || options->folder.empty()) {
        return usage("wait --folder DIR [--session ID] [--stop]");
    }
    return logged([&]() -> int {
        const LockFile own(options->folder + "/worker.lock");
        if (own.is_free()) return kWorkerDone;
        const bool is_ours = options->session.empty() ||
                             json::string_member(own.holder(), "session") == options->session;
        if (!is_ours) return kWorkerDone;
        while (options->stop && !own.is_free()) {
            stop_holder(own);
            usleep(20'000);
        }
        own.wait_until_free();
        return kWorkerDone;
    });
}

int hold_main(const std::vector<std::string>& arguments) {
    const std::optional<Options> options = parse_options(arguments);
    if (!options || options->folder.empty() || options->lock.empty() || options->command.empty()) {
        return usage("hold --folder DIR --lock FILE --owner NAME --session ID -- COMMAND...");
    }
    return logged([&]() -> int {
        const LockFile own(options->folder + "/worker.lock");
        const LockFile machine(options->lock);
        for (const LockFile* lock : {&own, &machine}) {
            if (!lock->try_exclusive()) {
                print_line(lock->holder());
                return kWorkerBusy;
            }
            lock->close_on_exec();
        }
        own.write_holder(holder_json(*options));
        machine.write_holder(holder_json(*options));
        return run_program(options->command);
    });
}

}  // namespace edgeprof
