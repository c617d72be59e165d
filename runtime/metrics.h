// Metrics in the Prometheus text format. Serving them is the HTTP server's work.
#ifndef COFFER_RUNTIME_METRICS_H_
#define COFFER_RUNTIME_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Registry;
}

namespace coffer::runtime {

// Every series is created at start with all the label values it can have, so that it is there at
// zero before the first event. Names begin with coffer_, counters end with _total, units are base
// units in the name (_seconds, _bytes); a wrong name is a bug (COFFER_CHECK). References stay valid
// as long as this object; updating them is thread-safe and cheap. Asking again for the same name
// and labels gives the same series.
class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help,
                           const Labels& labels = {});
  // `bounds`: upper bounds of the buckets, ascending; +Inf is added.
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& bounds, const Labels& labels = {});

  // The exposition, text format 0.0.4 (content type "text/plain; version=0.0.4"). Thread-safe.
  std::string Text() const;

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
};

// Bucket bounds in seconds, 100 us to 10 s, for latencies.
std::vector<double> LatencyBuckets();

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_METRICS_H_
