// What Jebi warns and advises about. The server says it in English with the figures of the case; here
// are the names in both languages and what is general about it in Korean.

import { language } from './words.js';

const TOPICS = {
  slow_query: {
    name: ['느린 쿼리', 'Slow query'],
    cause: '쿼리가 기준보다 오래 걸립니다. 알맞은 인덱스가 없거나 통계가 낡았거나 잠금을 기다리는 경우가 많습니다.',
    next: '‘느린 쿼리’에서 실행 계획을 보고, 순차 읽기가 있으면 인덱스를 검토하세요.',
  },
  slow_endpoint: {
    name: ['느린 엔드포인트', 'Slow endpoint'],
    cause: '응답이 기준보다 느립니다. 느린 쿼리, 낮은 적중률, 연결 대기가 흔한 원인입니다.',
    next: '‘병목’과 ‘느린 쿼리’에서 같은 시간대의 항목을 확인하세요.',
  },
  low_hit_rate: {
    name: ['낮은 캐시 적중률', 'Low hit rate'],
    cause: '캐시가 기준보다 자주 빗나갑니다. 막 시작했거나, 무효화가 잦거나, 용량이 모자랄 수 있습니다.',
    next: '‘캐시’에서 어느 네임스페이스가 빗나가는지, Redis가 쓰이는지 확인하세요.',
  },
  many_errors: {
    name: ['많은 오류', 'Many errors'],
    cause: '실패(5xx)한 요청의 비율이 기준을 넘었습니다.',
    next: '‘엔드포인트’에서 오류가 난 곳을 찾아 그 시각의 로그를 request_id로 확인하세요.',
  },
  pool_wait: {
    name: ['DB 연결 대기', 'Wait for a connection'],
    cause: '요청이 데이터베이스 연결을 기다립니다. 연결을 오래 쥐는 쿼리가 있거나 풀이 작습니다.',
    next: '먼저 느린 쿼리를 줄이고, 그래도 기다리면 DATABASE_POOL_SIZE를 늘리세요.',
  },
  queue_age: {
    name: ['작업 대기열 지연', 'Old queue'],
    cause: '가장 오래된 작업 항목이 기준보다 오래 기다렸습니다. 작업자가 멈췄거나 일이 몰렸습니다.',
    next: '‘작업’에서 실행 중인 작업이 나아가는지 확인하고, 필요하면 프로세스를 늘리세요.',
  },
  redis_away: {
    name: ['Redis 응답 없음', 'Redis away'],
    cause: 'Redis가 응답하지 않거나 늦습니다. 그동안 각 프로세스는 따로 캐시합니다.',
    next: 'REDIS_URL의 Redis가 실행 중인지, /readyz가 무엇을 말하는지 확인하세요.',
  },
  old_prices: {
    name: ['오래된 가격·재고', 'Old prices and stocks'],
    cause: '도매처의 변경 사항을 예정대로 따라가지 못합니다. 호출이 실패하거나 계정이 너무 많습니다.',
    next: '‘도매처 API’에서 실패한 호출을 확인하고 JEBI_FOLLOW_SCHEDULE과 JEBI_COLLECTORS를 검토하세요.',
  },
  collection_fails: {
    name: ['상품 수집 실패', 'Collection fails'],
    cause: '도매처가 거절했거나, 읽을 수 없는 응답 또는 평소보다 훨씬 적은 상품을 보냈습니다. 기존 상품은 그대로입니다.',
    next: '‘도매처 API’에서 계정과 이유를 확인하고, 고친 뒤 다시 수집하세요.',
  },
  never_ending: {
    name: ['끝나지 않는 요청', 'Never ending'],
    cause: '요청이 1분 넘게 끝나지 않습니다. 기다리는 상대가 응답하지 않습니다.',
    next: 'pg_stat_activity에서 실행 중인 것을, 로그에서 그때 시작된 것을 확인하세요.',
  },
  n_plus_one: { name: ['N+1 쿼리', 'N+1 queries'] },
  plan_regression: { name: ['실행 계획 악화', 'Plan regression'] },
  invalid_index: { name: ['유효하지 않은 인덱스', 'Invalid index'] },
  missing_foreign_key_index: { name: ['외래 키 인덱스 없음', 'Foreign key without an index'] },
  duplicate_index: { name: ['중복 인덱스', 'Duplicate index'] },
  unused_index: { name: ['쓰이지 않는 인덱스', 'Unused index'] },
  slow_statement: { name: ['느린 SQL 문', 'Slow statement'] },
  pool_waits: { name: ['DB 연결 부족', 'Too few connections'] },
  sequential_scans: { name: ['큰 테이블의 순차 읽기', 'Sequential scans of a large table'] },
  dead_rows: { name: ['죽은 행이 많음', 'Many dead rows'] },
  no_statistics: { name: ['통계 없음', 'No statistics'] },
  visibility: { name: ['가시성 맵이 낡음', 'Stale visibility map'] },
  find_slow_statement: { name: ['느린 SQL 찾기', 'Find the slow statement'] },
  build_indexes: { name: ['인덱스 만들기', 'Build indexes'] },
  more_connections: { name: ['연결 늘리기', 'Allow more connections'] },
  more_workers: { name: ['작업자 늘리기', 'Add workers'] },
  mend_failures: { name: ['실패 원인 고치기', 'Mend the failures'] },
  mend_redis: { name: ['Redis 살피기', 'Mend Redis'] },
  follow_more_often: { name: ['더 자주 따라가기', 'Follow more often'] },
  mend_collection: { name: ['상품 수집 고치기', 'Mend the collection'] },
  end_what_hangs: { name: ['멈춘 것 끝내기', 'End what hangs'] },
  more_cache_entries: { name: ['캐시 항목 늘리기', 'Keep more answers'] },
  more_cache_bytes: { name: ['캐시 용량 늘리기', 'Keep more bytes'] },
  fewer_invalidations: { name: ['무효화 줄이기', 'Fewer invalidations'] },
};

/** The name of a rule, an advice or a recommendation; one that is new is shown as the server calls it. */
export function topicName(id) {
  const isKnown = Object.hasOwn(TOPICS, id);
  return isKnown ? TOPICS[id].name[language() === 'ko' ? 0 : 1] : id.replaceAll('_', ' ');
}

/** What is general about its `cause` or `next` in Korean; null where there is nothing or the server's English serves. */
export function inKorean(id, part) {
  return language() === 'ko' && Object.hasOwn(TOPICS, id) ? TOPICS[id][part] ?? null : null;
}
