// Every text of the page, in Korean and English side by side so that none can lack the other.

const WORDS = {
  title: ['제비 대시보드', 'Jebi dashboard'],
  skip: ['본문으로 건너뛰기', 'Skip to the figures'],
  language: ['언어', 'Language'],
  logout: ['로그아웃', 'Sign out'],
  contents: ['차례', 'Contents'],
  table: ['{title} 표', '{title}: table'],
  waiting: ['첫 값을 기다리는 중입니다.', 'Waiting for the first figures.'],
  per_second: ['{n}/초', '{n}/s'],
  ago: ['{t} 전', '{t} ago'],
  never: ['없음', 'never'],

  'login.key': ['운영자 키', 'Operator key'],
  'login.hint': ['performance:read 권한이 있는 키입니다. jebi_로 시작합니다.', 'A key with the scope performance:read. It begins with jebi_.'],
  'login.submit': ['로그인', 'Sign in'],
  'login.wrong-key': ['키가 맞지 않습니다. 빠짐없이 붙여 넣었는지, 취소된 키가 아닌지 확인하세요.', 'This key is not known. See that it was pasted whole and is not revoked.'],
  'login.wrong-scope': ['이 키에는 performance:read 권한이 없습니다. 판매자 키가 아닌 운영자 키를 쓰세요.', 'This key lacks the scope performance:read. Use an operator’s key, not a seller’s.'],
  'login.unavailable': ['지금은 키를 확인할 수 없습니다. PostgreSQL이 응답하는지 /readyz를 보세요.', 'The key cannot be looked up now. See at /readyz whether PostgreSQL answers.'],
  'login.too-many': ['이 주소에서 실패한 시도가 너무 많습니다. 잠시 뒤에 다시 시도하세요.', 'Too many failed attempts from this address. Wait a while and try again.'],

  'stream.connecting': ['연결하는 중', 'Connecting'],
  'stream.live': ['실시간', 'Live'],
  'stream.silent': ['{n}초 동안 소식 없음', 'No news for {n} s'],
  'stream.broken': ['연결 끊김, 다시 연결하는 중 · {n}초 동안 소식 없음', 'Disconnected, reconnecting · no news for {n} s'],

  score: ['점수', 'Score'],
  'score.none': ['아는 구성 요소가 없어 점수가 없습니다', 'No score: no component is known'],
  'status.healthy': ['정상', 'Healthy'],
  'status.degraded': ['성능 저하', 'Degraded'],
  'status.unhealthy': ['장애', 'Unhealthy'],
  'status.unknown': ['알 수 없음', 'Unknown'],
  'component.api': ['API', 'API'],
  'component.database': ['데이터베이스', 'Database'],
  'component.cache': ['캐시', 'Cache'],
  'component.system': ['시스템', 'System'],
  'wrong.nothing': ['발생한 경보가 없습니다.', 'No alert is raised.'],
  'wrong.more': ['경보 {n}건 더', 'Further alerts: {n}'],
  'wrong.lowest': ['점수가 가장 낮은 곳: {component} {score}', 'Lowest score: {component} {score}'],
  'wrong.unknown': ['{component}: 알 수 없음 — {reason}', '{component}: unknown — {reason}'],
  'wrong.stale': ['소식이 끊겼습니다. 아래 값은 {t} 기준이며, 그때 상태는 ‘{status}’이었습니다.', 'There is no news. What is below is from {t}, when the status was: {status}.'],
  instance: ['{instance} · 버전 {version} · 가동 {uptime}', '{instance} · version {version} · up {uptime}'],
  'announce.status': ['상태: {status}', 'Status: {status}'],
  'announce.raised': ['경보 발생: {alert}', 'Alert raised: {alert}'],
  'announce.cleared': ['경보 해제: {alert}', 'Alert cleared: {alert}'],

  alerts: ['경보', 'Alerts'],
  'alerts.none': ['경보가 없습니다.', 'There are no alerts.'],
  'alerts.none_raised': ['지금 발생한 경보가 없습니다.', 'No alert is raised now.'],
  'alerts.cleared': ['최근 해제된 경보', 'Cleared recently'],
  'alerts.is_raised': ['발생', 'Raised'],
  'alerts.is_cleared': ['해제', 'Cleared'],
  'alerts.figure': ['{value} (기준 {threshold})', '{value} (threshold {threshold})'],
  'alerts.since': ['{t}부터', 'since {t}'],
  'alerts.from_to': ['{from} – {to}', '{from} – {to}'],
  cause: ['원인', 'Cause'],
  next_step: ['다음 조치', 'Next step'],
  evidence: ['근거', 'Evidence'],
  action: ['조치', 'Action'],
  how: ['방법', 'How'],

  figures: ['주요 지표', 'Key figures'],
  'figure.requests': ['초당 요청', 'Requests per second'],
  'figure.requests.sub': ['최근 1분 {n}건', '{n} in the last minute'],
  'figure.in_flight': ['처리 중', 'In flight'],
  'figure.p50': ['응답 p50', 'Response p50'],
  'figure.p95': ['응답 p95', 'Response p95'],
  'figure.p99': ['응답 p99', 'Response p99'],
  'figure.p99.sub': ['최대 {n}', 'max {n}'],
  'figure.last_minute': ['최근 1분', 'last minute'],
  'figure.errors': ['오류 (5xx)', 'Errors (5xx)'],
  'figure.errors.sub': ['최근 1분 · {n}', 'last minute · {n}'],
  'figure.hit_rate': ['캐시 적중률', 'Cache hit rate'],
  'figure.pool': ['사용 중인 DB 연결', 'DB connections in use'],
  'figure.pool.sub': ['한도 {limit} · 열림 {open}', 'of {limit} · {open} open'],
  'figure.statements': ['초당 SQL 문', 'Statements per second'],
  'figure.statements.sub': ['p95 {n}', 'p95 {n}'],
  'figure.cpu': ['CPU', 'CPU'],
  'figure.cpu.sub': ['코어 {n}개 전체 대비', 'of {n} cores'],
  'figure.memory': ['메모리', 'Memory'],
  'figure.memory.sub': ['호스트 여유 {n}', '{n} left on the host'],
  'figure.files': ['열린 파일', 'Open files'],
  'figure.files.sub': ['스레드 {n}개', '{n} threads'],
  'why.no_requests': ['최근 1분 동안 요청이 없었습니다', 'No requests in the last minute'],
  'why.no_lookups': ['최근 1분 동안 캐시 조회가 없었습니다', 'The cache was not asked in the last minute'],
  'why.no_statements': ['최근 1분 동안 실행된 SQL 문이 없습니다', 'No statement ran in the last minute'],
  'why.no_waits': ['최근 1분 동안 기다린 요청이 없습니다', 'Nobody waited in the last minute'],
  'why.idle': ['처리 중인 요청이 없습니다', 'Nothing is in flight'],
  'why.not_said': ['서버가 알려 주지 않았습니다', 'The server does not say'],
  'why.not_known': ['아직 알 수 없습니다', 'Not known yet'],
  'why.not_ended': ['아직 끝나지 않았습니다', 'It has not ended'],
  'why.never': ['한 번도 없었습니다', 'It never happened'],

  curves: ['추이', 'Curves'],
  range: ['기간', 'Range'],
  'range.15m': ['15분', '15 minutes'],
  'range.24h': ['24시간', '24 hours'],
  'curves.failed': ['추이를 읽지 못했습니다. 곧 다시 시도합니다.', 'The curves could not be read. They are asked for again soon.'],
  'curve.traffic': ['처리량과 오류', 'Throughput and errors'],
  'curve.latency': ['응답 시간', 'Latency'],
  'curve.hit_rate': ['캐시 적중률', 'Cache hit rate'],
  'curve.database': ['SQL 문과 사용 중인 연결', 'Statements and connections in use'],
  'curve.cpu': ['CPU', 'CPU'],
  'curve.text': ['{name} 현재 {now}, 최소 {min}, 최대 {max}', '{name} now {now}, least {min}, most {max}'],
  'curve.empty': ['{name} 값 없음', '{name} no values'],
  'series.requests_per_second': ['요청/초', 'requests/s'],
  'series.errors_per_second': ['오류/초', 'errors/s'],
  'series.p50_ms': ['p50', 'p50'],
  'series.p95_ms': ['p95', 'p95'],
  'series.p99_ms': ['p99', 'p99'],
  'series.hit_rate': ['적중률', 'hit rate'],
  'series.statements_per_second': ['SQL 문/초', 'statements/s'],
  'series.pool_in_use': ['연결', 'connections'],
  'series.cpu_share': ['CPU', 'CPU'],

  endpoints: ['엔드포인트', 'Endpoints'],
  'endpoints.none': ['아직 받은 요청이 없습니다.', 'No request has come yet.'],
  bottlenecks: ['병목', 'Bottlenecks'],
  'bottlenecks.hint': ['최근 5분 동안 쓴 시간의 합이 큰 순서입니다.', 'By the time that all their requests took in the last 5 minutes.'],
  'bottlenecks.none': ['최근 5분 동안 요청이 없었습니다.', 'No requests in the last 5 minutes.'],
  'severity.info': ['정보', 'Info'],
  'severity.warning': ['주의', 'Warning'],
  'severity.critical': ['심각', 'Critical'],
  'column.endpoint': ['엔드포인트', 'Endpoint'],
  'column.count': ['요청 수', 'Requests'],
  'column.rate': ['요청/초', 'Req/s'],
  'column.errors': ['오류', 'Errors'],
  'column.client_errors': ['4xx', '4xx'],
  'column.cancelled': ['취소', 'Cancelled'],
  'column.p50': ['p50', 'p50'],
  'column.p95': ['p95', 'p95'],
  'column.p99': ['p99', 'p99'],
  'column.in_flight': ['처리 중', 'In flight'],
  'column.oldest': ['가장 오래됨', 'Oldest'],
  'column.severity': ['심각도', 'Severity'],
  'column.share': ['시간 비중', 'Share of time'],
  'column.mean': ['평균', 'Mean'],
  'column.total': ['합계', 'Total'],

  cache: ['캐시', 'Cache'],
  'cache.none': ['쓰인 네임스페이스가 없습니다.', 'No namespace has been used.'],
  'cache.level': ['{level} 적중률', '{level} hit rate'],
  'cache.hits': ['최근 1분 적중 {n}회', '{n} hits in the last minute'],
  'cache.all': ['전체 적중률', 'Hit rate of all'],
  'cache.lookups': ['최근 1분 조회 {n}회', '{n} look-ups in the last minute'],
  'cache.redis': ['Redis', 'Redis'],
  'redis.in use': ['사용 중', 'in use'],
  'redis.not in use': ['쓰이지 않음', 'not in use'],
  'redis.none': ['설정 안 됨', 'not configured'],
  'cache.trust': ['L1 신뢰', 'L1 is trusted'],
  'cache.trusted': ['예', 'yes'],
  'cache.distrusted': ['아니요', 'no'],
  'cache.distrusted.sub': ['무효화 소식이 오지 않아 짧게만 보관합니다', 'invalidations do not arrive: it keeps values for a short time'],
  'column.namespace': ['네임스페이스', 'Namespace'],
  'column.lookups': ['조회/분', 'Look-ups/min'],
  'column.hit_rate': ['적중률', 'Hit rate'],
  'column.l1': ['L1', 'L1'],
  'column.l2': ['L2', 'L2'],
  'column.entries': ['항목', 'Entries'],
  'column.size': ['크기', 'Size'],

  'database.error': ['데이터베이스를 읽지 못했습니다: {reason}.', 'The database could not be read: {reason}.'],
  'database.old': ['아래 내용은 {t} 기준입니다.', 'What is below is from {t}.'],
  slow: ['느린 쿼리', 'Slow queries'],
  'slow.none': ['느린 쿼리가 없습니다.', 'There are no slow queries.'],
  'slow.since': ['{t}부터 집계', 'Counted since {t}'],
  'slow.hidden': ['다른 역할의 문 {n}개는 볼 수 없습니다', '{n} statements of other roles cannot be seen'],
  'slow.unavailable': ['쿼리 통계를 볼 수 없습니다: {reason}. 조치: {next}.', 'There are no statement statistics: {reason}. What to do: {next}.'],
  'slow.calls': ['{n}회 호출', '{n} calls'],
  'slow.mean': ['평균 {n}', 'mean {n}'],
  'slow.max': ['최대 {n}', 'max {n}'],
  'slow.total': ['합계 {n}', 'total {n}'],
  'slow.rows': ['행 {n}개', '{n} rows'],
  'slow.buffers': ['호출당 {n}페이지', '{n} pages per call'],
  'slow.read': ['디스크 대기 {n}', '{n} waiting for the disk'],
  statement: ['SQL 문', 'Statement'],
  plan: ['실행 계획', 'Plan'],
  'plan.none': ['실행 계획이 없습니다: {reason}', 'There is no plan: {reason}'],
  regressions: ['실행 계획 악화', 'Plan regressions'],
  'regressions.none': ['전보다 많이 읽는 쿼리가 없습니다.', 'No statement reads more than it used to.'],
  'regressions.pages': ['호출당 {before} → {now}페이지 ({factor}배)', '{before} → {now} pages per call (×{factor})'],
  repeats: ['N+1 쿼리', 'N+1 queries'],
  'repeats.none': ['한 요청에서 되풀이된 쿼리가 없습니다.', 'No request has repeated a statement.'],
  'repeats.count': ['한 요청에서 최대 {n}회', 'up to {n} times in one request'],
  'repeats.requests': ['요청 {n}건', '{n} requests'],
  'repeats.last': ['마지막 {t}', 'last {t}'],
  'repeats.first': ['처음 {t}', 'first {t}'],
  'repeats.expected': ['의도된 반복: 재시도 {retries}, 묶음 {chunks}, 페이지 {pages}', 'Repeated on purpose: retries {retries}, chunks {chunks}, pages {pages}'],

  indexes: ['인덱스 사용', 'Index usage'],
  'indexes.none': ['인덱스가 없습니다.', 'There are no indexes.'],
  'indexes.none_such': ['여기에 해당하는 인덱스가 없습니다.', 'No index is like that.'],
  'indexes.show': ['보기', 'Show'],
  'indexes.all': ['모두', 'all'],
  'indexes.flagged': ['문제가 있는 것', 'those with a flag'],
  'indexes.unused': ['쓰이지 않음', 'unused'],
  'indexes.duplicate': ['중복', 'duplicate'],
  'indexes.invalid': ['유효하지 않음', 'invalid'],
  'indexes.duplicate_of': ['중복: {index}', 'duplicate of {index}'],
  'indexes.needed': ['쓰이지 않지만 필요함', 'unused, but needed'],
  'indexes.since': ['{t}부터 집계', 'Counted since {t}'],
  'column.index': ['인덱스', 'Index'],
  'column.table': ['테이블', 'Table'],
  'column.scans': ['사용', 'Scans'],
  'column.flags': ['표시', 'Flags'],
  tables: ['테이블', 'Tables'],
  'tables.none': ['테이블이 없습니다.', 'There are no tables.'],
  'column.rows': ['행', 'Rows'],
  'column.index_size': ['인덱스', 'Indexes'],
  'column.dead': ['죽은 행', 'Dead rows'],
  'column.visible': ['가시 페이지', 'Visible pages'],
  'column.sequential': ['순차 읽기', 'Sequential scans'],
  'column.vacuumed': ['VACUUM', 'Vacuumed'],
  'column.analyzed': ['ANALYZE', 'Analyzed'],

  pool: ['DB 연결 풀', 'Connection pool'],
  'pool.in_use': ['사용 중', 'In use'],
  'pool.of': ['한도 {limit}개 중', 'of {limit}'],
  'pool.open': ['열린 연결', 'Open'],
  'pool.idle': ['쉬는 연결 {n}개', '{n} idle'],
  'pool.waits': ['기다린 요청', 'Waits'],
  'pool.waits.sub': ['최근 1분 · 시작부터 {n}', 'last minute · {n} since start'],
  'pool.mean': ['평균 대기', 'Mean wait'],
  'pool.longest': ['가장 긴 대기', 'Longest wait'],
  'pool.since_start': ['시작부터', 'since start'],
  'pool.refused': ['연결을 못 받음', 'Refused'],
  'pool.statements': ['SQL 문 시간', 'Statement time'],
  'pool.statements.sub': ['p95 {p95} · p99 {p99}', 'p95 {p95} · p99 {p99}'],
  'pool.errors': ['SQL 오류', 'SQL errors'],

  wholesalers: ['도매처 API', 'Wholesaler APIs'],
  'wholesalers.none': ['이 프로세스가 아직 도매처를 호출하지 않았습니다.', 'This process has called no wholesaler yet.'],
  'column.account': ['계정', 'Account'],
  'column.breaker': ['상태', 'State'],
  'column.calls': ['호출', 'Calls'],
  'column.refused_calls': ['보류', 'Held back'],
  'column.under_way': ['진행 중', 'Under way'],
  'column.budget': ['남은 호출', 'Calls left'],
  'breaker.closed': ['정상', 'Called'],
  'breaker.half_open': ['시험 호출', 'Being tried'],
  'breaker.open': ['차단됨', 'Left alone: it fails'],
  'breaker.paused': ['쉬는 중 {time}', 'Paused {time}'],
  'breaker.stopped': ['중지됨: 우리 요청이 잘못됨', 'Stopped: our calls are wrong'],
  'why.no_calls': ['최근 1분 동안 호출이 없었습니다.', 'There were no calls in the last minute.'],
  'why.no_rate': ['호출 한도가 없습니다.', 'It has no rate.'],

  freshness: ['가격·재고가 얼마나 새로운지', 'How fresh prices and stocks are'],
  'freshness.none': ['아직 수집한 상품이 없습니다.', 'Nothing has been collected yet.'],
  'freshness.unknown': ['수집 상태를 알 수 없습니다: {reason}.', 'It is not known: {reason}.'],
  'column.wholesaler': ['도매처', 'Wholesaler'],
  'column.items': ['상품', 'Items'],
  'column.accounts': ['계정 수', 'Accounts'],
  'column.age_p50': ['나이 p50', 'Age p50'],
  'column.age_p99': ['나이 p99', 'Age p99'],
  'column.promised': ['약속', 'Promised'],
  'why.no_promise': ['변경 사항을 따라가는 일정이 없습니다.', 'No schedule follows changes.'],
  troubles: ['잘못된 수집', 'Collections that went wrong'],
  'troubles.none': ['모든 수집이 잘 되었습니다.', 'All collections went well.'],
  'trouble.since': ['{t}부터 · 상품 {n}개', 'since {t} · {n} items'],

  jobs: ['작업', 'Jobs'],
  'jobs.none': ['작업이 없습니다.', 'There are no jobs.'],
  'jobs.unknown': ['작업을 알 수 없습니다: {reason}.', 'The jobs are not known: {reason}.'],
  'jobs.queue': ['끝나지 않은 항목 {n}개 · 가장 오래 기다린 항목 {age}', '{n} items open · the oldest has waited {age}'],
  'jobs.queue_empty': ['남은 항목이 없습니다.', 'Nothing is open.'],
  'column.job': ['작업', 'Job'],
  'column.state': ['상태', 'State'],
  'column.progress': ['진행', 'Progress'],
  'column.failed': ['실패', 'Failed'],
  'column.speed': ['속도', 'Speed'],
  'column.eta': ['남은 시간', 'Time left'],
  'column.created': ['등록', 'Created'],
  'column.finished': ['종료', 'Finished'],
  'state.queued': ['대기', 'Queued'],
  'state.running': ['실행 중', 'Running'],
  'state.done': ['완료', 'Done'],
  'state.failed': ['실패', 'Failed'],
  'state.cancelled': ['취소됨', 'Cancelled'],
  'kind.optimize': ['최적화', 'Optimize'],
  'kind.check-account': ['계정 확인', 'Account check'],
  'kind.benchmark': ['벤치마크', 'Benchmark'],
  'kind.batch-process': ['주문 일괄 처리', 'Batch of orders'],
  'kind.sync-external': ['마켓 동기화', 'Marketplace sync'],
  'kind.collect': ['상품 수집', 'Collection'],
  'kind.follow-changes': ['변경 따라가기', 'Changes followed'],

  benchmarks: ['벤치마크', 'Benchmarks'],
  'benchmarks.hint': ['판매자들이 하루 종일 하는 요청을 서비스가 스스로에게 보내고 잰 결과입니다. POST /api/v1/performance/benchmark 로 시작합니다.', 'What the service measured when it sent itself what sellers ask all day. Start one by POST /api/v1/performance/benchmark.'],
  'benchmarks.none': ['아직 실행한 벤치마크가 없습니다.', 'None has been run yet.'],
  'benchmarks.budget': ['사용자 {users}명 · {seconds}초', '{users} users · {seconds} s'],
  'column.load': ['부하', 'Load'],
  'column.p99_before': ['이전 대비 p99', 'p99 against before'],
  'why.no_run_before': ['같은 부하로 실행한 적이 없습니다.', 'There was no run with the same load before.'],

  recommendations: ['권장 조치', 'Recommendations'],
  'recommendations.none': ['지금은 권할 것이 없습니다.', 'There is nothing to recommend now.'],
  advice: ['데이터베이스 조언', 'Database advice'],
  'advice.none': ['데이터베이스에 고칠 것이 보이지 않습니다.', 'Nothing in the database asks for a change.'],
};

const LANGUAGES = ['ko', 'en'];
const REMEMBERED = 'jebi.language';

let chosen = remembered() ?? preferred();

export const language = () => chosen;

/** The text of a key, with `{name}` replaced. A key that is not here is a name of the server's: it is shown as it came. */
export function word(key, values = {}) {
  const texts = WORDS[key];
  if (!texts) return key.slice(key.indexOf('.') + 1).replaceAll('_', ' ');
  return texts[LANGUAGES.indexOf(chosen)].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Makes the switch work and puts the static texts in; `onChange` puts in those that come with figures. */
export function startLanguage(onChange) {
  for (const button of document.querySelectorAll('[data-language]')) {
    button.addEventListener('click', () => {
      chosen = button.dataset.language;
      remember(chosen);
      applyWords();
      onChange();
    });
  }
  applyWords();
}

function applyWords() {
  document.documentElement.lang = chosen;
  for (const node of document.querySelectorAll('[data-word]')) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll('[data-label-word]')) node.setAttribute('aria-label', word(node.dataset.labelWord));
  for (const button of document.querySelectorAll('[data-language]')) {
    button.setAttribute('aria-pressed', String(button.dataset.language === chosen));
  }
  document.title = word('title');
}

function preferred() {
  const known = navigator.languages.map((tag) => tag.toLowerCase().split('-')[0]);
  return known.find((tag) => LANGUAGES.includes(tag)) ?? 'en';
}

// Storage throws where the browser forbids it; then the choice holds until the page is left.
function remembered() {
  try {
    const tag = localStorage.getItem(REMEMBERED);
    return LANGUAGES.includes(tag) ? tag : null;
  } catch {
    return null;
  }
}

function remember(tag) {
  try {
    localStorage.setItem(REMEMBERED, tag);
  } catch {
    // Nothing is lost but the memory of it.
  }
}
