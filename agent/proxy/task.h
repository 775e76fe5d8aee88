// Coroutines of a worker: everything of a connection runs on one io_context, on one thread.

#ifndef SALLYPORT_AGENT_PROXY_TASK_H_
#define SALLYPORT_AGENT_PROXY_TASK_H_

#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace sallyport::proxy {

using Executor = boost::asio::io_context::executor_type;

// Of the coroutines that wait for each other in a row, the one that was spawned, and so waits for
// nobody's sake.
struct TaskRoot {
  std::coroutine_handle<> frame;
  boost::asio::io_context* context = nullptr;
};

// How a coroutine that waits goes on. Called once, from the event loop; if this goes uncalled (the
// loop has ended), so do the coroutine and all that wait for it.
class Resumption {
 public:
  Resumption() = default;
  template <typename Promise>
  explicit Resumption(std::coroutine_handle<Promise> waiting)
      : waiting_(waiting), root_(waiting.promise().root) {}
  Resumption(Resumption&& other) noexcept { *this = std::move(other); }
  Resumption& operator=(Resumption&& other) noexcept {
    std::swap(waiting_, other.waiting_);
    std::swap(root_, other.root_);
    return *this;
  }
  ~Resumption() {
    if (waiting_) root_->frame.destroy();
  }

  explicit operator bool() const { return static_cast<bool>(waiting_); }
  void operator()() && { std::exchange(waiting_, nullptr).resume(); }

 private:
  std::coroutine_handle<> waiting_;
  TaskRoot* root_ = nullptr;
};

// What every coroutine's frame holds. Exceptions are not thrown in a worker.
class TaskPromise {
 public:
  class BackToCaller {
   public:
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> over) noexcept {
      return over.promise().caller;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  BackToCaller final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

  TaskRoot* root = nullptr;
  std::coroutine_handle<> caller;
};

template <typename T>
class TaskPromiseOf : public TaskPromise {
 public:
  void return_value(T value) { result_.emplace(std::move(value)); }
  T TakeResult() { return *std::move(result_); }

 private:
  std::optional<T> result_;
};

template <>
class TaskPromiseOf<void> : public TaskPromise {
 public:
  void return_void() const noexcept {}
  void TakeResult() const noexcept {}
};

// What a task that is over from the beginning came to.
template <typename T>
using TaskValue = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

// A coroutine that begins when it is awaited, which it is once; or what one would come to, for
// whoever need not wait: that costs no frame. May be given up unawaited.
template <typename T>
class [[nodiscard]] Task {
 public:
  class promise_type final : public TaskPromiseOf<T> {
   public:
    Task get_return_object() { return Task(Handle::from_promise(*this)); }
  };

  Task()
    requires std::is_void_v<T>
      : value_(std::in_place) {}
  template <typename U>
    requires(std::convertible_to<U, TaskValue<T>> && !std::same_as<std::remove_cvref_t<U>, Task> &&
             !std::is_void_v<T>)
  Task(U&& value) : value_(std::forward<U>(value)) {}
  Task(Task&& other) noexcept
      : frame_(std::exchange(other.frame_, nullptr)), value_(std::move(other.value_)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (frame_) frame_.destroy();
  }

  // Whether it need not be awaited.
  bool is_over() const { return !frame_; }
  // REQUIRES: is_over().
  TaskValue<T> Take() && { return *std::move(value_); }

  class Awaiter {
   public:
    explicit Awaiter(Task* task) : task_(task) {}
    bool await_ready() const noexcept { return task_->is_over(); }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> caller) noexcept {
      task_->frame_.promise().root = caller.promise().root;
      task_->frame_.promise().caller = caller;
      return task_->frame_;
    }
    T await_resume() {
      if (!task_->is_over()) return task_->frame_.promise().TakeResult();
      if constexpr (!std::is_void_v<T>) return *std::move(task_->value_);
    }

   private:
    Task* const task_;
  };
  Awaiter operator co_await() && { return Awaiter(this); }

 private:
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle frame) : frame_(frame) {}

  Handle frame_;
  std::optional<TaskValue<T>> value_;
};

// The frame that waits for a spawned task, and goes with its end.
class Spawned {
 public:
  class promise_type {
   public:
    Spawned get_return_object() {
      return Spawned(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

    TaskRoot own;
    TaskRoot* const root = &own;
  };

  std::coroutine_handle<promise_type> frame() const { return frame_; }

 private:
  explicit Spawned(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

  const std::coroutine_handle<promise_type> frame_;
};

template <typename T, typename Done>
Spawned AwaitSpawned(Task<T> task, Done done) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    done();
  } else {
    done(co_await std::move(task));
  }
}

// Has `task` run beside whoever calls this: up to its first wait at once, if this is called from
// the event loop. `done` is called with what it comes to.
template <typename T, typename Done>
void Spawn(boost::asio::io_context& context, Task<T> task, Done done) {
  const auto frame = AwaitSpawned(std::move(task), std::move(done)).frame();
  frame.promise().own = {frame, &context};
  boost::asio::dispatch(context, [begin = Resumption(frame)]() mutable { std::move(begin)(); });
}
inline void Spawn(boost::asio::io_context& context, Task<void> task) {
  Spawn(context, std::move(task), [] {});
}

// Awaited: the io_context that the coroutine runs on.
class ThisContext {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> asking) noexcept {
    context_ = asking.promise().root->context;
    return false;
  }
  boost::asio::io_context& await_resume() const noexcept { return *context_; }

 private:
  boost::asio::io_context* context_ = nullptr;
};

// Awaited: lets everything run first that is ready now.
class Yield {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    boost::asio::post(*waiting.promise().root->context,
                      [resume = Resumption(waiting)]() mutable { std::move(resume)(); });
  }
  void await_resume() const noexcept {}
};

// Asio's completion token: the operation is awaited, and comes to its error code.
struct UseTask {};
inline constexpr UseTask kUseTask;

// `Begin` is called with the operation's handler.
template <typename Begin>
class AsioOperation {
 public:
  explicit AsioOperation(Begin begin) : begin_(std::move(begin)) {}
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    begin_([this, resume = Resumption(waiting)](boost::system::error_code error) mutable {
      error_ = error;
      std::move(resume)();
    });
  }
  boost::system::error_code await_resume() const noexcept { return error_; }

 private:
  Begin begin_;
  boost::system::error_code error_;
};

}  // namespace sallyport::proxy

template <>
class boost::asio::async_result<sallyport::proxy::UseTask, void(boost::system::error_code)> {
 public:
  template <typename Initiation, typename... Arguments>
  static auto initiate(Initiation initiation, sallyport::proxy::UseTask, Arguments... arguments) {
    return sallyport::proxy::AsioOperation([=](auto handler) mutable {
      std::move(initiation)(std::move(handler), std::move(arguments)...);
    });
  }
};

#endif  // SALLYPORT_AGENT_PROXY_TASK_H_
