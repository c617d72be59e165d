#include "host_proxy/http_message.h"

#include <json/value.h>

#include "host_proxy/json_text.h"

namespace coffer::host_proxy {

HttpResponse HttpError(int status, const std::string& code, const std::string& message) {
  Json::Value body;
  body["error"]["code"] = code;
  body["error"]["message"] = message;
  HttpResponse response;
  response.status = status;
  response.body = ToText(body);
  return response;
}

const char* HttpReason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace coffer::host_proxy
